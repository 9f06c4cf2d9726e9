import { Button, Text } from '@mantine/core';
import { Fragment } from 'react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';
import { TextField } from '@/job/fields/TextField';
import { useJob } from '@/job/JobContext';
import { valueAt, type Job, type Path } from '@/job/path';
import type { Meaning } from '@/theme/palette';
import { Panel } from '@/ui/Panel';
import { Quantity } from '@/ui/Quantity';
import { Swatch } from '@/ui/Swatch';

import classes from './LinkPanel.module.css';
import { linkName, type Link, type Pair } from './metrics';

interface Props {
  pair: Pair | null;
  paths: readonly Schemas['ZoneLink'][];
  links: readonly Link[];
  isStale: boolean;
}

interface Written {
  between?: readonly string[];
  from?: string;
  to?: string;
}

const LINKS: Path = ['cluster', 'links'];
const DEFAULT: Path = ['cluster', 'default_link'];
const KEYS = ['bandwidth', 'per_node', 'rtt', 'distance', 'loss', 'egress_price'] as const;
const NUMBERS = [
  'step_bytes',
  'raw_seconds',
  'exposed_seconds',
  'utilization_fraction',
  'bytes_per_second',
  'dollars_per_hour',
] as const;

/** One link: what the job says of it, to be changed in place, and what crosses it each way. */
export function LinkPanel({ pair, paths, links, isStale }: Props) {
  const { t } = useTranslation('map');
  const { isFixed } = useJob();
  if (pair == null) {
    return (
      <Panel title={t('link.title')}>
        <Text size="sm" c="dimmed">
          {t('link.none')}
        </Text>
      </Panel>
    );
  }
  const [one, other] = pair;
  const ways = [links.find(between(one, other)), links.find(between(other, one))].filter((link) => link != null);
  const path = paths.find(between(one, other)) ?? paths.find(between(other, one));
  return (
    <Panel title={`${one} – ${other}`}>
      {!isFixed && <LinkFields pair={pair} />}
      <dl className={classes.numbers} data-stale={isStale} data-testid="link">
        <dt>{t('metric.latency_seconds')}</dt>
        <dd>
          <Quantity name="latency_seconds" value={path?.latency_seconds} />
        </dd>
        <dt>{t('metric.distance_meters')}</dt>
        <dd>
          <Quantity name="distance_meters" value={path?.distance_meters} />
        </dd>
        {ways.map((link) => (
          <Way key={linkName(link)} link={link} />
        ))}
      </dl>
      {ways.length === 0 && (
        <Text size="sm" c="dimmed">
          {t('link.idle')}
        </Text>
      )}
    </Panel>
  );
}

/** What crosses in one direction. */
function Way({ link }: { link: Link }) {
  const { t } = useTranslation('map');
  const term = useTerm();
  return (
    <>
      <dt className={classes.way}>{linkName(link)}</dt>
      {link.groups.map(({ group, step_bytes: size }) => (
        <Fragment key={group}>
          <dt>
            <Swatch meaning={group as Meaning} />
            {term('meaning', group)}
          </dt>
          <dd>
            <Quantity name="step_bytes" value={size} />
          </dd>
        </Fragment>
      ))}
      {NUMBERS.map((name) => (
        <Fragment key={name}>
          <dt>{t(`metric.${name}`)}</dt>
          <dd data-field={name}>
            <Quantity name={name} value={link[name]} />
          </dd>
        </Fragment>
      ))}
    </>
  );
}

/** The keys of the link in the job; of the default for all where it has none of its own. */
function LinkFields({ pair }: { pair: Pair }) {
  const { t } = useTranslation('map');
  const { job, setValue } = useJob();
  const written = writtenLinks(job);
  const own = written.flatMap((link, index) => (isOf(link, pair) ? [{ link, index }] : []));
  if (own.length === 0) {
    return (
      <>
        <Text size="xs" c="dimmed" mb={6}>
          {t('link.default')}
        </Text>
        <Fields path={DEFAULT} />
        <Button
          variant="default"
          fullWidth
          mt={8}
          onClick={() => {
            setValue(LINKS, [...written, { between: [...pair], ...(valueAt(job, DEFAULT) as object) }]);
          }}
        >
          {t('link.own')}
        </Button>
      </>
    );
  }
  return own.map(({ link, index }) => (
    <Fragment key={index}>
      {link.between == null && (
        <Text size="xs" c="dimmed" mt={4}>
          {`${link.from ?? ''} → ${link.to ?? ''}`}
        </Text>
      )}
      <Fields path={[...LINKS, index]} />
    </Fragment>
  ));
}

function Fields({ path }: { path: Path }) {
  const { t } = useTranslation('map');
  return (
    <div className={classes.fields}>
      {KEYS.map((key) => (
        <TextField key={key} path={[...path, key]} placeholder={t('link.unwritten')} />
      ))}
    </div>
  );
}

function writtenLinks(job: Job): readonly Written[] {
  const found = valueAt(job, LINKS);
  return Array.isArray(found) ? (found as Written[]) : [];
}

function isOf(link: Written, pair: Pair): boolean {
  const ends = link.between ?? [link.from, link.to];
  return pair.every((name) => ends.includes(name));
}

function between(from: string, to: string) {
  return (link: { from_zone: string; to_zone: string }) => link.from_zone === from && link.to_zone === to;
}
