/** Tokens of the visual language: calm ground, one accent, small type, tabular numerals. Colours of data: `palette.ts`. */
import {
  Badge,
  Button,
  createTheme,
  InputWrapper,
  Kbd,
  NativeSelect,
  Paper,
  SegmentedControl,
  Table,
  TextInput,
  Tooltip,
  type CSSVariablesResolver,
  type MantineColorsTuple,
} from '@mantine/core';

import { MEANINGS, palette } from './palette';

/** Of any text: 11 px. */
const SMALLEST = '0.6875rem';

const ACCENT: MantineColorsTuple = [
  '#eef4ff',
  '#dbe7fe',
  '#b6cefc',
  '#8db2f8',
  '#5f92f2',
  '#3d7ae9',
  '#2563d6',
  '#1d50b3',
  '#1a448f',
  '#183b74',
];
const DARK: MantineColorsTuple = [
  '#d6dae1',
  '#a9b1bd',
  '#8b94a3',
  '#666f7e',
  '#3c4452',
  '#2b323e',
  '#20262f',
  '#171b22',
  '#11151b',
  '#0c0f14',
];
const GRAY: MantineColorsTuple = [
  '#f7f8fa',
  '#eff1f4',
  '#e4e7ec',
  '#d5dae1',
  '#b6bec9',
  '#8b95a3',
  '#69727f',
  '#4b535f',
  '#2f363f',
  '#1b2027',
];
const SANS = "'Inter', system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', sans-serif";
const MONO =
  "ui-monospace, 'SF Mono', 'Cascadia Mono', 'JetBrains Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace";

export const theme = createTheme({
  colors: { accent: ACCENT, dark: DARK, gray: GRAY },
  primaryColor: 'accent',
  primaryShade: 6,
  autoContrast: true,
  fontFamily: SANS,
  fontFamilyMonospace: MONO,
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.25rem' },
  lineHeights: { xs: '1.35', sm: '1.45', md: '1.5', lg: '1.5', xl: '1.4' },
  spacing: { xs: '0.5rem', sm: '0.75rem', md: '1rem', lg: '1.5rem', xl: '2rem' },
  radius: { xs: '3px', sm: '5px', md: '8px', lg: '12px', xl: '16px' },
  defaultRadius: 'sm',
  headings: {
    fontFamily: SANS,
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '1.25rem', lineHeight: '1.4' },
      h2: { fontSize: '0.9375rem', lineHeight: '1.45' },
      h3: { fontSize: '0.8125rem', lineHeight: '1.45' },
    },
  },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Badge: Badge.extend({ vars: () => ({ root: { '--badge-fz': SMALLEST } }) }),
    Button: Button.extend({ defaultProps: { size: 'xs' }, styles: { label: { fontWeight: 500 } } }),
    InputWrapper: InputWrapper.extend({
      styles: {
        label: { color: 'var(--mantine-color-dimmed)', fontWeight: 450, fontSize: 'var(--mantine-font-size-xs)' },
      },
    }),
    Kbd: Kbd.extend({ vars: () => ({ root: { '--kbd-fz': SMALLEST } }) }),
    NativeSelect: NativeSelect.extend({ defaultProps: { size: 'xs' } }),
    Paper: Paper.extend({ defaultProps: { withBorder: true, radius: 'md' } }),
    SegmentedControl: SegmentedControl.extend({ defaultProps: { size: 'xs' } }),
    Table: Table.extend({ defaultProps: { verticalSpacing: 6, horizontalSpacing: 'xs', fz: 'sm' } }),
    TextInput: TextInput.extend({ defaultProps: { size: 'xs' } }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 300, withArrow: true, multiline: true, maw: 360 } }),
  },
});

/** The palette as `--cz-NAME`, beside grounds and lines; for CSS. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    ...meanings('light'),
    '--cz-ground': '#fbfbfc',
    '--cz-surface': '#ffffff',
    '--cz-line': '#e4e7ec',
    '--mantine-color-body': '#fbfbfc',
    '--mantine-color-dimmed': '#5d6673',
    '--mantine-color-default-border': '#d2d8e0',
  },
  dark: {
    ...meanings('dark'),
    '--cz-ground': '#0f1217',
    '--cz-surface': '#151920',
    '--cz-line': '#262c36',
    '--mantine-color-body': '#0f1217',
    '--mantine-color-dimmed': '#97a0ae',
    '--mantine-color-default-border': '#343c49',
  },
});

function meanings(scheme: 'light' | 'dark'): Record<string, string> {
  const colours = palette(scheme);
  return Object.fromEntries(MEANINGS.map((meaning) => [`--cz-${meaning}`, colours[meaning]]));
}
