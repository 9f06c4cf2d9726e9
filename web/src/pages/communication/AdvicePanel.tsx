import { Badge, Button, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useFormat, useLanguage } from '@/i18n/useLanguage';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';

import classes from './AdvicePanel.module.css';
import { settingsOf, type Settings } from './controls';
import { SettingText } from './SettingText';

type Advice = Schemas['Advice'];
/** What the engine says of a change that trains to the same weights. */
const SAME = 'unchanged';

interface Props {
  advice: readonly Advice[];
  isStale: boolean;
  /** Of what it is where that is not what the page shows. */
  note: string | undefined;
  /** Without it they are only told. */
  onTry: ((settings: Settings) => void) | undefined;
}

/** Single changes, the ones that save most first, each predicted in full. */
export function AdvicePanel({ advice, isStale, note, onTry }: Props) {
  const { t } = useTranslation('communication');
  return (
    <Panel title={t('advice.title')} note={note} isStale={isStale}>
      {advice.length === 0 && <Text c="dimmed">{t('advice.none')}</Text>}
      <ol className={classes.list}>
        {advice.map((each) => (
          <Item key={each.settings.join()} advice={each} onTry={onTry} />
        ))}
      </ol>
    </Panel>
  );
}

function Item({ advice, onTry }: Pick<Props, 'onTry'> & { advice: Advice }) {
  const { t } = useTranslation('communication');
  const format = useFormat();
  const isSame = advice.mathematics === SAME;
  return (
    <li className={classes.item}>
      <span className={classes.saved}>
        <Quantity
          name="saved_seconds"
          value={advice.seconds_saved}
          derivation={{
            formula: t('advice.formula'),
            source: advice.source,
            inputs: [{ name: 'step_seconds', value: advice.step_seconds }],
          }}
        />
        <Text size="xs" c="dimmed">
          {format.field('saved_fraction', advice.saved_fraction)}
        </Text>
      </span>
      <div className={classes.text}>
        <AdviceTitle advice={advice} />{' '}
        <Badge size="xs" variant="default" tt="none">
          {t(isSame ? 'mathematics.same' : 'mathematics.other')}
        </Badge>
        {!isSame && (
          <Text size="xs" c="dimmed">
            {advice.mathematics}
          </Text>
        )}
        <Text size="xs" c="dimmed">
          {advice.dollars_saved != null && t('advice.dollars', { cost: format.field('dollars', advice.dollars_saved) })}{' '}
          {advice.consent != null && t('advice.consent', { name: advice.consent })}
        </Text>
      </div>
      {onTry != null && (
        <Button
          variant="default"
          size="compact-xs"
          onClick={() => {
            onTry(settingsOf(advice.settings));
          }}
        >
          {t('advice.try')}
        </Button>
      )}
    </li>
  );
}

/** The engine writes English; elsewhere the settings say the same. */
function AdviceTitle({ advice }: { advice: Advice }) {
  const language = useLanguage();
  const settings = Object.entries(settingsOf(advice.settings));
  if (language === 'en') return <>{advice.title.charAt(0).toUpperCase() + advice.title.slice(1)}</>;
  return (
    <span>
      {settings.map(([key, value]) => (
        <SettingText key={key} setting={key} value={value} />
      ))}
    </span>
  );
}
