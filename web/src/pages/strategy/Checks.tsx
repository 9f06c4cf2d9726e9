import { Button, Collapse, Group, Text, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { CircleCheck, CircleX, TriangleAlert } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import { useLive } from '@/api/live';
import type { Schemas } from '@/api/client';
import { useJob } from '@/job/JobContext';
import { useSettings } from '@/job/useSettings';
import { Difference } from '@/ui/Difference';
import { Panel } from '@/ui/Panel';
import { ProblemPanel } from '@/ui/ProblemPanel';

import { Words } from './PlanWords';
import classes from './Strategy.module.css';

type Check = Schemas['Check'];

const ICONS = { pass: CircleCheck, warn: TriangleAlert, fail: CircleX } as const;
const COLOURS = { pass: 'good', warn: 'warn', fail: 'bad' } as const;
type Grade = keyof typeof ICONS;

/** What rules of good practice say of the plan; what a key of the job mends is one click away. */
export function Checks({ ranked }: { ranked: Schemas['RankedPlan'] }) {
  const { t } = useTranslation('strategy');
  const [isOpen, { toggle }] = useDisclosure(false);
  const { isFixed } = useJob();
  const settings = useSettings();
  const open = ranked.checks.filter((check) => check.verdict !== 'pass');
  const kept = ranked.checks.filter((check) => check.verdict === 'pass');
  return (
    <Panel
      title={t('checks.title')}
      aside={
        <Button variant="subtle" color="gray" size="compact-xs" onClick={toggle} aria-expanded={isOpen}>
          {t(isOpen ? 'checks.hide' : 'checks.show', { count: kept.length })}
        </Button>
      }
    >
      {settings.error != null && <ProblemPanel problem={settings.error} />}
      {open.length === 0 && <Text size="sm">{t('checks.allKept', { count: kept.length })}</Text>}
      {open.map((check) => (
        <Finding
          key={check.name}
          check={check}
          plan={ranked.plan}
          isBusy={settings.isPending}
          onApply={
            isFixed
              ? undefined
              : () => {
                  settings.mutate(check.settings);
                }
          }
        />
      ))}
      <Collapse expanded={isOpen}>
        {kept.map((check) => (
          <Finding key={check.name} check={check} plan={ranked.plan} isBusy />
        ))}
      </Collapse>
    </Panel>
  );
}

interface FindingProps {
  check: Check;
  plan: Schemas['Plan'];
  isBusy: boolean;
  onApply?: (() => void) | undefined;
}

function Finding({ check, plan, isBusy, onApply }: FindingProps) {
  const { t } = useTranslation('strategy');
  const grade = (check.verdict in ICONS ? check.verdict : 'warn') as Grade;
  const Icon = ICONS[grade];
  return (
    <div className={classes.check} data-rule={check.name}>
      <Icon
        size={16}
        style={{ color: `var(--cz-${COLOURS[grade]})`, marginTop: 2 }}
        aria-label={t(`checks.${grade}`)}
      />
      <div>
        <Text size="sm" fw={560}>
          {t(`rule.${check.name}`, { defaultValue: check.name.replaceAll('_', ' ') })}
        </Text>
        <Words>{check.message}</Words> {check.fix !== '' && <Words>{check.fix}</Words>}
        <Text size="xs" c="dimmed">
          {check.source}
        </Text>
      </div>
      {onApply != null && check.settings.length > 0 && (
        <Group gap="sm" align="start" wrap="nowrap">
          <Effect plan={plan} settings={check.settings} />
          <Tooltip label={<span className={classes.setting}>{check.settings.join('\n')}</span>}>
            <Button variant="default" onClick={onApply} loading={isBusy}>
              {t('checks.apply')}
            </Button>
          </Tooltip>
        </Group>
      )}
    </div>
  );
}

/** What the fix does to the step, as the engine has it. */
function Effect({ plan, settings }: { plan: Schemas['Plan']; settings: readonly string[] }) {
  const { t } = useTranslation('strategy');
  const { job } = useJob();
  const { data, problem } = useLive('whatif', {
    job: job as Schemas['JobFile'],
    plan: { ...plan },
    set: [...settings],
  });
  if (problem != null) return null;
  return (
    <Text component="span" size="sm" miw={90} ta="right" title={t('checks.effect')}>
      <Difference name="step_seconds" change={data?.changes.find(({ name }) => name === 'step_seconds')} />
    </Text>
  );
}
