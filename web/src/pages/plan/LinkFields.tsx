import { Button, CloseButton, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { TextField } from '@/job/fields/TextField';
import { useJob } from '@/job/JobContext';
import { valueAt, type Path } from '@/job/path';

import { Group } from './FormLayout';
import classes from './FormLayout.module.css';
import { listAt } from './ZoneFields';

interface Link {
  between?: readonly string[];
  from?: string;
  to?: string;
}

const LINKS: Path = ['cluster', 'links'];
const DEFAULT: Path = ['cluster', 'default_link'];

/** What joins the zones: the paths that are written, and one for all the rest. */
export function LinkFields() {
  const { t } = useTranslation('plan');
  const { job, setValue } = useJob();
  const links = listAt<Link>(job, LINKS);
  const names = listAt<{ name?: string }>(job, ['cluster', 'zones']).map(({ name }) => name ?? '');
  const missing = pairs(names).filter((pair) => !links.some((link) => joins(link, pair)));
  const hasDefault = valueAt(job, DEFAULT) != null;
  if (names.length < 2) {
    return (
      <Text size="xs" c="dimmed">
        {t('links.none')}
      </Text>
    );
  }
  return (
    <>
      {links.map((link, index) => (
        <LinkRow key={index} link={link} path={[...LINKS, index]} />
      ))}
      {missing.length > 0 && (
        <Button
          variant="default"
          fullWidth
          mt={4}
          onClick={() => {
            const added = missing.map((between) => ({ between, bandwidth: '10 Gbit/s', rtt: '30 ms' }));
            setValue(LINKS, [...links, ...added]);
          }}
        >
          {t('links.addMissing', { count: missing.length })}
        </Button>
      )}
      {hasDefault && (
        <>
          <Text size="xs" c="dimmed" mt="xs">
            {t('links.default')}
          </Text>
          <Group columns={2}>
            <TextField path={[...DEFAULT, 'bandwidth']} />
            <TextField path={[...DEFAULT, 'rtt']} />
          </Group>
        </>
      )}
    </>
  );
}

function LinkRow({ link, path }: { link: Link; path: Path }) {
  const { t } = useTranslation('plan');
  const { setValue } = useJob();
  const name = link.between == null ? `${link.from ?? ''} → ${link.to ?? ''}` : link.between.join(' – ');
  return (
    <div className={classes.link} role="group" aria-label={name}>
      <span className={classes.pair} title={name}>
        {name}
      </span>
      <TextField path={[...path, 'bandwidth']} />
      <TextField path={[...path, 'rtt']} />
      <CloseButton
        size="sm"
        mb={3}
        aria-label={t('links.remove', { name })}
        onClick={() => {
          setValue(path, undefined);
        }}
      />
    </div>
  );
}

function pairs(names: readonly string[]): string[][] {
  return names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other]));
}

function joins(link: Link, pair: readonly string[]): boolean {
  const ends = link.between ?? [link.from, link.to];
  return pair.every((name) => ends.includes(name));
}
