import { Anchor, Breadcrumbs, Text } from '@mantine/core';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';

/** Where in the cluster one is: zones, a zone, a node, a GPU; each leads back. */
export function Breadcrumb() {
  const { t } = useTranslation('map');
  const { zone, node, gpu } = useParams();
  const steps = [
    { title: t('crumb.all'), to: '/map' },
    ...(zone == null ? [] : [{ title: zone, to: zonePath(zone) }]),
    ...(zone == null || node == null ? [] : [{ title: t('crumb.node', { node }), to: nodePath(zone, node) }]),
    ...(gpu == null ? [] : [{ title: t('crumb.gpu', { gpu }), to: '' }]),
  ];
  if (steps.length === 1) return null;
  return (
    <nav aria-label={t('crumb.label')}>
      <Breadcrumbs separatorMargin={6}>
        {steps.map(({ title, to }, index) =>
          index === steps.length - 1 ? (
            <Text key={title} size="sm" fw={560} aria-current="page">
              {title}
            </Text>
          ) : (
            <Anchor key={title} component={Link} to={to} size="sm">
              {title}
            </Anchor>
          ),
        )}
      </Breadcrumbs>
    </nav>
  );
}

export function zonePath(zone: string): string {
  return `/map/${encodeURIComponent(zone)}`;
}

/** `node` is "GROUP.INDEX". */
export function nodePath(zone: string, node: string): string {
  return `${zonePath(zone)}/${node}`;
}
