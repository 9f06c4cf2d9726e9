import { useElementSize } from '@mantine/hooks';
import { useTranslation } from 'react-i18next';

import { useFormat } from '@/i18n/useLanguage';

import type { Column } from './DataTable';
import { lookOf, type Content, type Look, type Mark } from './plotLook';
import classes from './Plot.module.css';
import { PlotPointer } from './PlotPointer';

interface Props<Row> extends Content<Row> {
  label: string;
  /** What is told of a point: the title and the cell of each. */
  columns: readonly Column<Row>[];
  height: number;
}

/** Points and lines in two axes, in SVG. Each point tells of itself under the pointer and to the arrow keys. */
export function Plot<Row>({ label, columns, height, ...content }: Props<Row>) {
  const { ref, ...size } = useElementSize();
  return (
    <div className={classes.plot} style={{ height }}>
      <Legend {...content} />
      <div ref={ref} className={classes.holder}>
        {size.width > 0 && <Drawing label={label} columns={columns} content={content} size={size} />}
      </div>
    </div>
  );
}

function Legend<Row>({ series, guides = [] }: Content<Row>) {
  const told = [
    ...series.map(({ key, title, as, meaning, isDiamond = false }) => ({ key, title, as, meaning, isDiamond })),
    ...guides.map(({ title }) => ({ key: title, title, as: 'guide', meaning: 'optimizer', isDiamond: false }) as const),
  ].filter(({ title }) => title != null);
  if (told.length < 2) return null;
  return (
    <ul className={classes.legend}>
      {told.map(({ key, title, as, meaning, isDiamond }) => (
        <li key={key}>
          <svg width={16} height={10} aria-hidden>
            {as === 'points' ? (
              <Shape mark={{ at: [8, 5], radius: 4, meaning, isDiamond, isFaint: false }} />
            ) : (
              <path d="M0 5H16" className={classes.line} data-as={as} stroke={`var(--cz-${meaning})`} />
            )}
          </svg>
          {title}
        </li>
      ))}
    </ul>
  );
}

interface DrawingProps<Row> {
  label: string;
  columns: readonly Column<Row>[];
  content: Content<Row>;
  size: { width: number; height: number };
}

function Drawing<Row>({ label, columns, content, size }: DrawingProps<Row>) {
  const { t } = useTranslation('ui');
  const format = useFormat();
  const { x, y } = content;
  const look = lookOf(content, size, format.field);
  const told = (row: Row) => {
    const of = (axis: typeof x) => `${axis.title} ${format.field(axis.name, axis.value(row))}`;
    return `${String(columns[0]?.value(row) ?? '')}; ${of(x)}; ${of(y)}`;
  };
  return (
    <PlotPointer
      {...{ label, columns, look, size }}
      inWords={(row) => (row == null ? t('chart.points', { number: look.points.length }) : told(row))}
    >
      <Ground look={look} x={x.title} y={y.title} />
      {look.lines.map(({ key, path, as, meaning }) => (
        <path key={key} d={path} className={classes.line} data-as={as} stroke={`var(--cz-${meaning})`} />
      ))}
      {look.marks.map((mark, index) => (
        <Shape key={index} mark={mark} />
      ))}
    </PlotPointer>
  );
}

/** The axes, with their titles, and the lines that the eye follows. */
function Ground<Row>({ look, x, y }: { look: Look<Row>; x: string; y: string }) {
  const { left, right, top, bottom, xTicks, yTicks } = look;
  return (
    <g className={classes.ground}>
      {yTicks.map(({ at, text }) => (
        <g key={text}>
          <line x1={left} x2={right} y1={at} y2={at} />
          <text x={left - 8} y={at} dy="0.32em" textAnchor="end">
            {text}
          </text>
        </g>
      ))}
      {xTicks.map(({ at, text }) => (
        <g key={text}>
          <line x1={at} x2={at} y1={top} y2={bottom} />
          <text x={at} y={bottom + 16} textAnchor="middle">
            {text}
          </text>
        </g>
      ))}
      <path d={`M${String(left)} ${String(bottom)}H${String(right)}`} />
      <text x={0} y={12} className={classes.title}>
        {y}
      </text>
      <text x={right} y={bottom + 33} textAnchor="end" className={classes.title}>
        {x}
      </text>
    </g>
  );
}

function Shape({ mark: { at, radius, meaning, isDiamond, isFaint } }: { mark: Mark }) {
  const [x, y] = at;
  const look = { className: classes.mark, 'data-faint': isFaint, fill: `var(--cz-${meaning})` };
  if (!isDiamond) return <circle cx={x} cy={y} r={radius} {...look} />;
  const [wide, place] = [radius * 1.25, `translate(${String(x)} ${String(y)})`];
  return (
    <path
      d={`M0 ${String(-wide)}L${String(wide)} 0L0 ${String(wide)}L${String(-wide)} 0Z`}
      transform={place}
      {...look}
    />
  );
}
