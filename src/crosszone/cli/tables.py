"""How results look: headings, tables, lists and bars, the same for every verb. It formats and never computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

INDENT = 2
BAR_WIDTH = 20
GAP = 2
"""Spaces between columns."""
MIN_FLEXIBLE_WIDTH = 16
"""To which a column that gives way may shrink."""


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
    """A table without lines; `notes` puts a dim line below each row.

    Where the screen is too narrow, columns without a name (bars) go, and then each row becomes a few lines: no number
    is ever cut.
    """
    return Padding(_Fitting(tuple(columns), tuple(tuple(row) for row in rows), notes), (0, 0, 0, INDENT))


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
class _Fitting:
    """Rows as a table where the screen has room for it, else stacked."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str | Text, ...], ...]
    notes: Sequence[str] | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        named = [index for index, column in enumerate(self.columns) if column.name]
        for shown, heads in (
            (range(len(self.columns)), self._heads()),
            (named, self._heads()),
            (named, self._heads(" ")),
        ):
            if sum(self._width(index, heads) for index in shown) + GAP * (len(shown) - 1) <= options.max_width:
                grid = self._grid(shown, heads)
                num_heads = 1 + max(head.count("\n") for head in heads)
                yield from (grid,) if self.notes is None else _with_notes(grid, num_heads, self.notes, console, options)
                return
        yield from self._stacked(options.max_width - INDENT)

    def _heads(self, broken_at: str = "\n") -> list[str]:
        """The names of the columns, over as many lines as they have words where they are broken at a space."""
        return [column.name.replace(broken_at, "\n") for column in self.columns]

    def _width(self, index: int, heads: Sequence[str]) -> int:
        """Least width of a column."""
        column = self.columns[index]
        texts = [*heads[index].split("\n"), *(str(row[index]) for row in self.rows)]
        if column.is_flexible:
            return min(MIN_FLEXIBLE_WIDTH, max(cell_len(word) for text in texts for word in (*text.split(), "")))
        return max(cell_len(text) for text in texts)

    def _grid(self, shown: Sequence[int], heads: Sequence[str]) -> Table:
        # The box with a line under its head puts a space of its own between columns.
        style, gap = (box.SIMPLE_HEAD, GAP - 1) if self.notes is None else (None, GAP)
        grid = Table(box=style, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
        for index in shown:
            column = self.columns[index]
            grid.add_column(
                heads[index],
                justify="right" if column.is_number else "left",
                no_wrap=not column.is_flexible,
                overflow="fold" if column.is_flexible else "ellipsis",
                header_style="dim",
            )
        for row in self.rows:
            grid.add_row(*(row[index] for index in shown))
        return grid

    def _stacked(self, width: int) -> Iterator[RenderableType]:
        """Each row by its title, which ends with its first text, then what the other columns say, with their names."""
        num_title = 1 + next((index for index, column in enumerate(self.columns) if not column.is_number), 0)
        for row, note in zip(self.rows, self.notes or [""] * len(self.rows), strict=True):
            yield Text("  ".join(str(cell) for cell in row[:num_title]))
            rest = zip(self.columns[num_title:], row[num_title:], strict=True)
            said = [f"{column.name} {cell}" for column, cell in rest if column.name and str(cell)]
            for line in _filled(said, width):
                yield Padding(Text(line), (0, 0, 0, INDENT))
            if note:
                yield Padding(Text(note, style="dim"), (0, 0, 0, INDENT))


def _filled(parts: Sequence[str], width: int) -> Iterator[str]:
    """`parts` as lines of at most `width`, none of them broken if it fits at all."""
    line = ""
    for number, part in enumerate(parts, start=1):
        part += "," if number < len(parts) else ""
        if line and cell_len(f"{line} {part}") > width:
            yield line
            line = ""
        line = f"{line} {part}".lstrip()
    if line:
        yield line


def _with_notes(
    grid: Table, num_heads: int, notes: Sequence[str], console: Console, options: ConsoleOptions
) -> RenderResult:
    """A table whose rows take one line each, with a note below each row."""
    lines = console.render_lines(grid, options, pad=False)
    for line in lines[:num_heads]:
        yield from (*line, Segment.line())
    for row, note in zip(lines[num_heads:], notes, strict=True):
        yield from (*row, Segment.line())
        yield Padding(Text(note, style="dim"), (0, 0, 0, INDENT + 1))
