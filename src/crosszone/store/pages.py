"""Long lists, page by page: each page goes on behind the last row of the one before, whatever came or went since."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from crosszone.errors import SpecError, nearest_hint
from crosszone.store.rows import noun

Noun = TypeVar("Noun")

MOST_ROWS = 1000
"""Of one page."""
MOST_NUMBER = 2.0**63
"""What a column can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What rows are sorted by; of equals, the id decides. Rows without a value come last."""

    name: str
    """As people ask for it, with a dash before it to turn it round."""
    column: sa.ColumnElement[Any]
    is_descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Noun]):
    """Some rows of a list."""

    rows: tuple[Noun, ...]
    cursor: str | None
    """What the next page starts behind; None: this is the last."""


def order(asked: str, columns: dict[str, sa.ColumnElement[Any]], reversed_names: Sequence[str] = ()) -> Order:
    """What is asked for as "name" or "-name". `reversed_names` grow as their columns shrink. SpecError."""
    name = asked.removeprefix("-")
    if name not in columns:
        hint = nearest_hint(name, columns, max_listed=len(columns))
        raise SpecError.of(f'nothing is sorted by "{name[:100]}".', where="sort", hint=hint, code="unknown_name")
    is_descending = asked.startswith("-") != (name in reversed_names)
    return Order(name=asked, column=columns[name], is_descending=is_descending)


def page(
    connection: sa.Connection,
    table: sa.Table,
    kind: type[Noun],
    *,
    where: sa.ColumnElement[bool],
    by: Order,
    limit: int,
    cursor: str | None = None,
) -> Page[Noun]:
    """The first `limit` rows that `where` is true of, behind `cursor`. SpecError where that is of another list."""
    if not 1 <= limit <= MOST_ROWS:
        raise SpecError.of(f"limit is {limit}.", where="limit", hint=f"Write a number from 1 to {MOST_ROWS}.")
    key = by.column.label("page_key")
    wanted = sa.select(table, key).where(where)
    if cursor is not None:
        wanted = wanted.where(_behind(table, by, *_read_cursor(cursor, by)))
    sorted_by = by.column.desc() if by.is_descending else by.column.asc()
    ordered = wanted.order_by(by.column.is_(None), sorted_by, table.c.id).limit(limit + 1)
    found = connection.execute(ordered).all()
    last = found[limit - 1]._mapping if len(found) > limit else None
    return Page(
        rows=tuple(noun(kind, row) for row in found[:limit]),
        cursor=None if last is None else _cursor(by, last["page_key"], last["id"]),
    )


def like(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """Whether `text`, case folded, is somewhere in a column."""
    return column.contains(text.casefold(), autoescape=True)


def _behind(table: sa.Table, by: Order, value: Any, key: str) -> sa.ColumnElement[bool]:
    has_none = by.column.is_(None)
    if value is None:
        return sa.and_(has_none, table.c.id > key)
    further = by.column < value if by.is_descending else by.column > value
    return sa.or_(has_none, further, (by.column == value) & (table.c.id > key))


def _cursor(by: Order, value: Any, key: str) -> str:
    text = json.dumps([by.name, value, key], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, by: Order) -> tuple[Any, str]:
    try:
        name, value, key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError):
        name, value, key = None, None, None
    is_number = isinstance(value, bool | int | float) and abs(value) < MOST_NUMBER
    is_known = value is None or (isinstance(value, str) if _is_text(by) else is_number)
    is_known = is_known and "\x00" not in f"{value}{key}"
    if name != by.name or not isinstance(key, str) or not is_known:
        hint = "Leave it out, or follow the link to the next page."
        raise SpecError.of("the cursor is of no page of this list.", where="cursor", hint=hint)
    return value, key


def _is_text(by: Order) -> bool:
    return by.column.type.python_type is str
