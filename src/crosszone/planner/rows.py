"""Some of the candidates of one space."""

from dataclasses import dataclass, replace

from crosszone.core.layout import Layout
from crosszone.core.tables import Bools, Ints, PlanTable
from crosszone.planner.space import Space
from crosszone.timeline.rows import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Candidates of one space: its rows, each with a framework, all with one way to recompute."""

    space: Space
    row: Ints
    framework: Ints
    """Index among the search's frameworks."""
    recompute: int
    recompute_layers: Ints | None = None
    """[rows, runs of the space's shapes]; None: as the job file says, or all."""

    def __len__(self) -> int:
        return len(self.row)

    @property
    def layout(self) -> Layout:
        """Where these candidates lie."""
        return self.space.layout

    def take(self, index: Ints | Bools | slice) -> "Rows":
        """Some of them."""
        layers = None if self.recompute_layers is None else self.recompute_layers[index]
        return replace(self, row=self.row[index], framework=self.framework[index], recompute_layers=layers)

    def plans(self) -> PlanTable:
        """Their plans as columns."""
        return self.space.filled(self.row, self.framework, self.recompute)

    def tables(self) -> Tables:
        """Their plans, replica groups and stages."""
        return self.space.tables(self.row, self.framework, self.recompute, self.recompute_layers)
