"""What came of planning many jobs."""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
"""Column to value; None is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What came of every case."""

    rows: tuple[Row, ...]
    """In the order of the cases."""
    keys: tuple[str, ...]
    """The varied keys: columns after `job`."""
    num_resumed: int
    """Rows that an earlier try had left."""

    def num_with(self, status: str) -> int:
        """Cases that ended so."""
        return sum(row["status"] == status for row in self.rows)
