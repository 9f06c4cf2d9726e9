import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';

interface Props {
  /** How many there are in all. */
  count: number;
  isWhole: boolean;
  onChange: (isWhole: boolean) => void;
}

/** Below a list of which the first are shown: shows the rest, and hides it again. */
export function ShowAll({ count, isWhole, onChange }: Props) {
  const { t } = useTranslation('ui');
  return (
    <Button
      variant="subtle"
      size="compact-xs"
      mt={6}
      onClick={() => {
        onChange(!isWhole);
      }}
    >
      {t(isWhole ? 'list.fewer' : 'list.all', { count })}
    </Button>
  );
}
