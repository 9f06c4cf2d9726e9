"""A simulated step as people read it: one line of the chart per stage, then how busy stages and links were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.console import RenderableType
from rich.text import Text

from crosszone import units
from crosszone.cli.show_prediction import degrees, plan_details, problem_line
from crosszone.cli.tables import Column, bar, bullets, heading, pairs, paragraph, table
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.core.simulation import LinkUse, Simulation, StageUse

MOST_CELLS, FEWEST_CELLS = 64, 10
NAME_WIDTH = 8
NUM_STAGES = 32
"""Lines of the chart; further stages are told in the JSON and the trace."""
BAR_WIDTH = 12

_LETTERS = {"forward": "F", "backward": "B", "weight_gradient": "W", "agreement": "A", "optimizer": "O", "late": "L"}
_STYLES = {
    "forward": "green",
    "backward": "cyan",
    "weight_gradient": "blue",
    "agreement": "yellow",
    "optimizer": "magenta",
    "late": "red",
}
_IDLE = "·"

Chart = Mapping[tuple[int, int], tuple[str, ...]]
"""What each (replica, stage) mostly does in each cell of the step; "" for nothing."""


def simulation_view(problem: Problem, plan: Plan, simulation: Simulation, chart: Chart) -> Iterator[RenderableType]:
    """Everything that `crosszone simulate` shows."""
    yield Text(problem_line(problem), style="bold")
    yield paragraph(f"{degrees(plan)}; {plan_details(plan)}")
    yield Text("")
    yield pairs(_headline(simulation))
    yield heading("One step")
    for use in simulation.stages[:NUM_STAGES]:
        yield _line(simulation, use, chart[use.replica, use.stage])
    yield paragraph(_legend(chart.values(), len(simulation.stages) - NUM_STAGES))
    yield heading("Stages")
    yield _stages_table(simulation)
    if simulation.links:
        yield heading("Zone links")
        yield _links_table(simulation.links)
    if simulation.notes:
        yield heading("How it is drawn")
        yield bullets(simulation.notes)


def num_cells(screen_width: int) -> int:
    """Cells of the chart that a line has room for."""
    return max(min(screen_width - NAME_WIDTH - 2, MOST_CELLS), FEWEST_CELLS)


def _headline(simulation: Simulation) -> Iterator[tuple[str, str]]:
    yield "step", units.format_seconds(simulation.step_seconds)
    pipeline, after = simulation.pipeline_seconds, simulation.step_seconds - simulation.pipeline_seconds
    yield "of it", f"{units.format_seconds(pipeline)} pipeline, {units.format_seconds(after)} agreement and optimizer"


def _line(simulation: Simulation, use: StageUse, cells: Iterable[str]) -> Text:
    text = Text(f"{_name(simulation, use):>{NAME_WIDTH}} ", no_wrap=True, overflow="ellipsis")
    for category in cells:
        text.append(_LETTERS.get(category, _IDLE), style=_STYLES.get(category, "dim"))
    return text


def _name(simulation: Simulation, use: StageUse) -> str:
    """The stage, with its group of replicas where there are several."""
    is_alone = all(other.replica == 0 for other in simulation.stages)
    return str(use.stage) if is_alone else f"{use.replica}.{use.stage}"


def _legend(lines: Iterable[tuple[str, ...]], num_hidden: int) -> str:
    seen = {category for cells in lines for category in cells}
    known = [f"{letter} {name.replace('_', ' ')}" for name, letter in _LETTERS.items() if name in seen]
    more = f"; {num_hidden} more stages in the trace" if num_hidden > 0 else ""
    return f"{', '.join([*known, f'{_IDLE} waiting'])}{more}"


def _stages_table(simulation: Simulation) -> RenderableType:
    columns = [
        Column(name="stage"),
        Column(name="zone", is_flexible=True),
        Column(name="works", is_number=True),
        Column(name=""),
        Column(name="waits", is_number=True),
        Column(name="agrees", is_number=True),
        Column(name="memory", is_number=True),
    ]
    return table(
        columns,
        [
            (
                _name(simulation, use),
                use.zone,
                units.format_seconds(use.busy_seconds),
                bar(use.busy_fraction, 1.0, width=BAR_WIDTH),
                units.format_seconds(use.idle_seconds),
                units.format_seconds(use.agreement_seconds),
                units.format_bytes(use.peak_bytes),
            )
            for use in simulation.stages[:NUM_STAGES]
        ],
    )


def _links_table(links: Iterable[LinkUse]) -> RenderableType:
    columns = [
        Column(name="link", is_flexible=True),
        Column(name="bytes", is_number=True),
        Column(name="busy", is_number=True),
        Column(name="of step", is_number=True),
        Column(name="at most", is_number=True),
    ]
    return table(
        columns,
        [
            (
                f"{link.from_zone} → {link.to_zone}",
                units.format_bytes(link.step_bytes),
                units.format_seconds(link.busy_seconds),
                units.format_fraction(link.busy_fraction),
                units.format_bytes_per_second(link.peak_bytes_per_second),
            )
            for link in links
        ],
    )
