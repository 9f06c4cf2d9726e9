import type { EChartsOption } from 'echarts';
import { useEffect, useRef } from 'react';

import { usePalette } from '@/theme/usePalette';

import { init } from './echarts';

/** The drawing of a chart: ECharts, with the fonts and lines of the theme. Loaded when the first chart is shown. */
export default function ChartCanvas({ option, height }: { option: EChartsOption; height: number }) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<ReturnType<typeof init>>(null);
  const { scheme } = usePalette();

  useEffect(() => {
    const made = init(holder.current, axes(scheme), { renderer: 'svg' });
    chart.current = made;
    const observer = new ResizeObserver(() => {
      made.resize();
    });
    if (holder.current != null) observer.observe(holder.current);
    return () => {
      observer.disconnect();
      made.dispose();
    };
  }, [scheme]);

  useEffect(() => {
    chart.current?.setOption({ ...base(scheme), ...option }, { notMerge: true });
  }, [option, scheme]);

  return <div ref={holder} style={{ height }} aria-hidden />;
}

/** A theme of ECharts: every axis is told of in the colours of the page. */
function axes(scheme: 'light' | 'dark'): object {
  const isDark = scheme === 'dark';
  const [text, line] = isDark ? ['#97a0ae', '#262c36'] : ['#5d6673', '#e4e7ec'];
  const axis = {
    axisLabel: { color: text },
    nameTextStyle: { color: text },
    axisLine: { lineStyle: { color: text, opacity: 0.5 } },
    axisTick: { show: false },
    splitLine: { lineStyle: { color: line } },
  };
  return { valueAxis: axis, categoryAxis: axis, timeAxis: axis, logAxis: axis };
}

function base(scheme: 'light' | 'dark'): EChartsOption {
  const isDark = scheme === 'dark';
  return {
    animationDuration: 150,
    animationDurationUpdate: 200,
    backgroundColor: 'transparent',
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily, color: isDark ? '#c6ccd5' : '#3a424d' },
    tooltip: {
      confine: true,
      backgroundColor: isDark ? '#20262f' : '#ffffff',
      borderColor: isDark ? '#3c4452' : '#d5dae1',
      textStyle: { color: isDark ? '#d6dae1' : '#1b2027', fontSize: 12 },
    },
  };
}
