import { useTranslation } from 'react-i18next';

import { useTerm } from '@/i18n/useLanguage';

import classes from './FieldName.module.css';

/** Of which names the words are in `terms.json`, by the list that the name stands in. */
const KINDS: Record<string, string> = { terms: 'term' };

/**
 * A name of the API in words: "Matrix multiply · Exposed" for `terms[matrix_multiply].exposed_seconds`. One that has no
 * words is shown as it is; the name itself comes where the pointer rests.
 */
export function FieldName({ name }: { name: string }) {
  const term = useTerm();
  const { t } = useTranslation('terms');
  const parts = name.split(/\.(?![^[]*\])/);
  const [last = '', variant] = /_second$/.test(parts.at(-2) ?? '') ? [parts.at(-2), parts.at(-1)] : [parts.at(-1)];
  const known = [parts.slice(-2).join('_'), last].find((each) => term('field', each) !== each.replaceAll('_', ' '));
  if (known == null)
    return (
      <code className={classes.name} title={name}>
        {name}
      </code>
    );
  const holders = parts.flatMap((part) => {
    const [, list = '', key] = /^(\w+)\[(.+)\]$/.exec(part) ?? [];
    if (key == null) return [];
    if (KINDS[list] != null) return [term(KINDS[list], key)];
    const item = key.split(',').join(list === 'links' ? ' → ' : ' ');
    return [t(`list.${list}`, { item, defaultValue: item })];
  });
  return (
    <span title={name}>{[...holders, term('field', known), ...(variant == null ? [] : [variant])].join(' · ')}</span>
  );
}
