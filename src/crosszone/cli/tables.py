"""How results look: headings, tables, lists and bars, the same for every verb. It formats and never computes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

INDENT = 2
BAR_WIDTH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its heading and which side it leans to."""

    name: str
    is_number: bool = False
    is_flexible: bool = False
    """Gives way (folds onto more lines) where the screen is narrow."""


def heading(text: str) -> RenderableType:
    """The title of a section, with a blank line above."""
    return Text(f"\n{text}", style="bold")


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str | Text]], notes: Sequence[str] | None = None
) -> RenderableType:
    """A table without lines; `notes` puts a dim line below each row."""
    # The box with a line under its head puts a space of its own between columns.
    style, gap = (box.SIMPLE_HEAD, 1) if notes is None else (None, 2)
    grid = Table(box=style, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for column in columns:
        grid.add_column(
            column.name,
            justify="right" if column.is_number else "left",
            no_wrap=not column.is_flexible,
            overflow="fold" if column.is_flexible else "ellipsis",
            header_style="dim",
        )
    for row in rows:
        grid.add_row(*row)
    return Padding(grid if notes is None else _WithNotes(grid, notes), (0, 0, 0, INDENT))


def pairs(rows: Iterable[tuple[str, str | Text]]) -> RenderableType:
    """Names and values, one pair per line."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value)
    return Padding(grid, (0, 0, 0, INDENT))


def bullets(lines: Iterable[str]) -> RenderableType:
    """A list, one point per line, folded with a hanging indent."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for line in lines:
        grid.add_row("•", line)
    return Padding(grid, (0, 0, 0, INDENT))


def paragraph(text: str) -> RenderableType:
    """Text, folded and indented."""
    return Padding(Text(text), (0, 0, 0, INDENT))


def bar(part: float, whole: float, *, width: int = BAR_WIDTH, style: str = "cyan") -> Text:
    """A bar as long as `part` of `whole`; one that is full and red where it is more."""
    if not whole > 0:
        return Text("")
    num_filled = min(round(width * part / whole), width)
    is_over = part > whole
    return Text.assemble(("█" * num_filled, "red" if is_over else style), ("░" * (width - num_filled), "dim"))


@dataclass(frozen=True, slots=True)
class _WithNotes:
    """A table whose rows take one line each, with a note below each row."""

    grid: Table
    notes: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header, *rows = console.render_lines(self.grid, options, pad=False)
        yield from (*header, Segment.line())
        for row, note in zip(rows, self.notes, strict=True):
            yield from (*row, Segment.line())
            yield Padding(Text(note, style="dim"), (0, 0, 0, INDENT + 1))
