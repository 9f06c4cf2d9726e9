/** The parts of ECharts that are used; each page that draws something new adds its part here. */
import { BarChart, CustomChart, HeatmapChart, LineChart, RadarChart, ScatterChart } from 'echarts/charts';
import {
  AriaComponent,
  DataZoomComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  RadarComponent,
  TooltipComponent,
  VisualMapComponent,
} from 'echarts/components';
import { init, use as register } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

register([
  ...[BarChart, CustomChart, HeatmapChart, LineChart, RadarChart, ScatterChart],
  ...[AriaComponent, DataZoomComponent, GridComponent, LegendComponent, MarkLineComponent],
  ...[RadarComponent, TooltipComponent, VisualMapComponent, SVGRenderer],
]);

export { init };
