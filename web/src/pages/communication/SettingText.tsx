import { useTranslation } from 'react-i18next';

import classes from './AdvicePanel.module.css';

/** One setting in words: what, of which zones, how much. */
export function SettingText({ setting, value }: { setting: string; value: string }) {
  const { t } = useTranslation('communication');
  const zones = /\[(.+?)\]/.exec(setting)?.[1]?.replaceAll(',', '–');
  const last = setting.slice(setting.lastIndexOf('.') + 1);
  const amount = value.startsWith('x') ? `× ${value.slice(1)}` : value;
  const what = t(`setting.${last}`, { defaultValue: last });
  return <span className={classes.setting}>{[zones, what, amount].filter(Boolean).join(' ')}</span>;
}
