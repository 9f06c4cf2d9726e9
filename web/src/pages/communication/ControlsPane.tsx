import { Badge, Button, CloseButton, Group as Row, NativeSelect, Slider, Text, TextInput, Title } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { Label } from '@/job/fields/Label';
import { useChoices } from '@/job/fields/useField';
import { useSettings } from '@/job/useSettings';

import { FACTORS, GROUPS, settingTexts, withoutControl, withSetting, type Control, type Settings } from './controls';
import classes from './ControlsPane.module.css';
import { SettingText } from './SettingText';
import type { Tried } from './useWhatIf';

interface Props {
  tried: Tried;
  settings: Settings;
  onChange: (settings: Settings) => void;
}

/** What if: each control changes one key of the job; the plan stays, and every number is predicted again. */
export function ControlsPane({ tried, settings, onChange }: Props) {
  const { t } = useTranslation('communication');
  const known = new Set(tried.base.data?.changed.assumed);
  const assumed = tried.changed.data?.changed.assumed.filter((each) => !known.has(each)) ?? [];
  const notes = [...(tried.changed.data?.warnings ?? []), ...assumed.map((what) => t('whatif.assumed', { what }))];
  const isChanged = Object.keys(settings).length > 0;
  return (
    <>
      <Row justify="space-between" className={classes.head}>
        <Title order={2}>{t('whatif.title')}</Title>
        <Row gap={6}>
          <Button
            variant="subtle"
            size="compact-xs"
            disabled={!isChanged}
            onClick={() => {
              onChange({});
            }}
          >
            {t('whatif.reset')}
          </Button>
          <Apply settings={settings} isPossible={isChanged && tried.changed.problem == null} />
        </Row>
      </Row>
      {withoutControl(settings).map(([key, value]) => (
        <Row key={key} justify="space-between" gap={6} mb={6} data-testid="also-set">
          <SettingText setting={key} value={value} />
          <CloseButton
            size="sm"
            aria-label={t('whatif.leave', { key })}
            onClick={() => {
              onChange(withSetting(settings, key, ''));
            }}
          />
        </Row>
      ))}
      {GROUPS.map((group) => (
        <section key={group.name} aria-label={t(`controls.${group.name}`)} className={classes.group}>
          <Row justify="space-between" gap={6} mb={6}>
            <Title order={3}>{t(`controls.${group.name}`)}</Title>
            {group.changesMathematics && (
              <Badge size="xs" variant="default" tt="none">
                {t('mathematics.other')}
              </Badge>
            )}
          </Row>
          <div className={classes.fields}>
            {group.controls.map((control) => (
              <Field key={control.key} control={control} tried={tried} settings={settings} onChange={onChange} />
            ))}
          </div>
        </section>
      ))}
      {isChanged &&
        notes.map((note) => (
          <Text key={note} size="xs" c="var(--cz-warn)" mt={6}>
            {note}
          </Text>
        ))}
    </>
  );
}

/** Write what is tried into the job of all pages. */
function Apply({ settings, isPossible }: { settings: Settings; isPossible: boolean }) {
  const { t } = useTranslation('communication');
  const writing = useSettings();
  return (
    <Button
      size="compact-xs"
      disabled={!isPossible}
      loading={writing.isPending}
      onClick={() => {
        writing.mutate(settingTexts(settings));
      }}
    >
      {t('whatif.apply')}
    </Button>
  );
}

interface FieldProps extends Props {
  control: Control;
}

function Field({ control, tried, settings, onChange }: FieldProps) {
  const { t } = useTranslation('communication');
  const value = settings[control.key] ?? '';
  const { data, chosen } = tried.answer;
  const base = data == null || chosen == null ? null : control.base(chosen.plan, data.problem);
  const errors = tried.changed.problem?.errors ?? [];
  const found = value === '' ? undefined : errors.find(({ where }) => where !== '' && control.key.endsWith(where));
  const name = t(`control.${control.name}.label`);
  const shared = {
    label: <Label label={name} help={t(`control.${control.name}.help`)} />,
    'aria-label': name,
    error: found == null ? null : `${found.message} ${found.hint}`,
  };
  const set = (next: string) => {
    onChange(withSetting(settings, control.key, next));
  };
  if (control.kind === 'factor') return <Factor label={name} value={value} onChange={set} />;
  if (control.kind === 'choice')
    return <Choice {...shared} control={control} value={value} base={base} onChange={set} />;
  return (
    <TextInput
      {...shared}
      value={value}
      placeholder={base == null ? t('whatif.asIs') : String(base)}
      spellCheck={false}
      onChange={(event) => {
        set(event.currentTarget.value);
      }}
    />
  );
}

interface ChoiceProps {
  control: Control;
  value: string;
  base: string | number | null;
  onChange: (value: string) => void;
}

function Choice({ control, value, base, onChange, ...shared }: ChoiceProps) {
  const { t } = useTranslation('communication');
  const listed = useChoices(control.definition ?? '', control.key.slice(control.key.lastIndexOf('.') + 1));
  const choices = control.choices ?? listed;
  const asIs = base == null ? t('whatif.asIs') : String(base);
  return (
    <NativeSelect
      {...shared}
      value={value}
      data={[{ value: '', label: asIs }, ...choices.filter((choice) => choice !== base)]}
      onChange={(event) => {
        onChange(event.currentTarget.value);
      }}
    />
  );
}

interface FactorProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

/** So many times what each link has. */
function Factor({ label, value, onChange }: FactorProps) {
  const written = value === '' ? '1' : value.replace(/^x/, '');
  const index = FACTORS.findIndex((factor) => factor === written);
  const middle = FACTORS.indexOf('1');
  const marks = FACTORS.map((factor, place) => ({ value: place, label: `×${factor}` }));
  return (
    <div className={classes.factor}>
      <Row justify="space-between" fz="xs">
        <span className={classes.label}>{label}</span>
        <output>{`×${written}`}</output>
      </Row>
      <Slider
        size="sm"
        min={0}
        max={FACTORS.length - 1}
        step={1}
        value={index < 0 ? middle : index}
        classNames={{ bar: classes.bar ?? '', mark: classes.mark ?? '' }}
        marks={marks.map((mark) => ({ value: mark.value }))}
        label={null}
        thumbLabel={label}
        aria-label={label}
        onChange={(place) => {
          onChange(place === middle ? '' : `x${FACTORS[place] ?? '1'}`);
        }}
      />
    </div>
  );
}
