import { Table, Tooltip, UnstyledButton } from '@mantine/core';
import { Check, Minus } from 'lucide-react';
import { useTranslation } from 'react-i18next';

import type { Schemas } from '@/api/client';
import { useTerm } from '@/i18n/useLanguage';

import classes from './DeployPage.module.css';
import type { Options } from './render';

type Cell = Schemas['DeployCell'];

interface Props {
  cells: readonly Cell[];
  options: Options;
  onChoose: (changed: Partial<Options>) => void;
}

/** Framework by backend; a cell that does not go says why, and what to do. */
export function Cells({ cells, options, onChoose }: Props) {
  const { t } = useTranslation('deploy');
  const term = useTerm();
  const frameworks = [...new Set(cells.map(({ framework }) => framework))];
  const backends = [...new Set(cells.map(({ backend }) => backend))];
  const chosen = cells.find((each) => isChosen(each, options));
  return (
    <>
      <div className={classes.scroll}>
        <Table className={classes.cells} aria-label={t('cells.title')} withRowBorders={false}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{t('cells.framework')}</Table.Th>
              {backends.map((backend) => (
                <Table.Th key={backend} ta="center">
                  {backend}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {frameworks.map((framework) => (
              <Table.Tr key={framework}>
                <Table.Th scope="row">{term('framework', framework)}</Table.Th>
                {backends.map((backend) => {
                  const cell = cells.find((each) => each.framework === framework && each.backend === backend);
                  return (
                    <Table.Td key={backend}>
                      {cell != null && (
                        <CellButton
                          cell={cell}
                          isChosen={isChosen(cell, options)}
                          onClick={() => {
                            onChoose({ framework, backend });
                          }}
                        />
                      )}
                    </Table.Td>
                  );
                })}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </div>
      {chosen != null && chosen.errors.length > 0 && (
        <ul className={classes.reasons} role="status">
          {chosen.errors.map((error) => (
            <li key={error.where + error.message}>
              <code>{error.where}</code> {error.message} {error.hint}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function CellButton({ cell, isChosen, onClick }: { cell: Cell; isChosen: boolean; onClick: () => void }) {
  const { t } = useTranslation('deploy');
  const goes = cell.errors.length === 0;
  const why = goes ? t('cells.goes') : cell.errors.map(({ message }) => message).join(' ');
  return (
    <Tooltip label={why}>
      <UnstyledButton
        className={classes.cell}
        data-goes={goes}
        aria-pressed={isChosen}
        aria-label={`${cell.framework} ${cell.backend}: ${why}`}
        onClick={onClick}
      >
        {goes ? <Check size={14} aria-hidden /> : <Minus size={14} aria-hidden />}
      </UnstyledButton>
    </Tooltip>
  );
}

function isChosen(cell: Cell, { framework, backend }: Options): boolean {
  return cell.framework === framework && cell.backend === backend;
}
