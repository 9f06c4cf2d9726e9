import jsxA11y from 'eslint-plugin-jsx-a11y';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

const LETTERS = /\p{L}{2}/u;
const SHOWN_ATTRIBUTES = new Set([
  'alt',
  'aria-label',
  'aria-description',
  'description',
  'label',
  'placeholder',
  'title',
]);

/** Every text that a person reads stands in a JSON file of each language. */
const noHardCodedText = {
  create: (context) => ({
    JSXText(node) {
      if (LETTERS.test(node.value)) context.report({ node, message: 'Put this text into en.json and zh.json.' });
    },
    JSXAttribute(node) {
      const isText = node.value?.type === 'Literal' && LETTERS.test(String(node.value.value));
      if (isText && SHOWN_ATTRIBUTES.has(node.name.name)) {
        context.report({ node, message: 'Put this text into en.json and zh.json.' });
      }
    },
  }),
};

/** `format.ts` alone knows how a number is written. */
const formatting = [
  'toFixed',
  'toPrecision',
  'toExponential',
  'toLocaleString',
  'toLocaleDateString',
  'toLocaleTimeString',
].map((name) => ({
  selector: `CallExpression[callee.property.name="${name}"]`,
  message: 'Format with format.ts.',
}));

export default tseslint.config(
  { ignores: ['node_modules', 'src/api/schema.d.ts'] },
  tseslint.configs.strict,
  tseslint.configs.stylistic,
  reactHooks.configs.flat.recommended,
  jsxA11y.flatConfigs.recommended,
  {
    plugins: { text: { rules: { 'no-hard-coded': noHardCodedText } } },
    rules: {
      'text/no-hard-coded': 'error',
      'no-restricted-syntax': ['error', ...formatting],
      'max-lines': ['error', 500],
      'max-lines-per-function': ['error', { max: 90, skipComments: true, skipBlankLines: true }],
      'jsx-a11y/no-noninteractive-tabindex': ['error', { tags: [], roles: ['region', 'tabpanel'] }], // what scrolls
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
    },
  },
  { files: ['src/format.ts'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['tests/**'], rules: { 'text/no-hard-coded': 'off', 'max-lines-per-function': 'off' } },
);
