"""Nouns as rows and back: a column for each field, by the same name."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa

from crosszone.core.codec import from_json, to_json
from crosszone.errors import NotThere, Stale

Noun = TypeVar("Noun")


def values(noun: Any, **more: Any) -> dict[str, Any]:
    """The columns of a noun, and `more`; tuples become lists, nouns in it objects, NaN null."""
    fields = {field.name: getattr(noun, field.name) for field in dataclasses.fields(noun)}
    return {name: value if isinstance(value, dict) else to_json(value) for name, value in fields.items()} | more


def noun(kind: type[Noun], row: sa.Row[Any]) -> Noun:
    """The noun of class `kind` in a row; columns that it has no field for are left out."""
    mapping = row._mapping
    return kind(**{name: read(mapping[name]) for name, read in _readers(typing.cast(typing.Any, kind))})


def one(connection: sa.Connection, table: sa.Table, kind: type[Noun], key: str, *, called: str) -> Noun:
    """The noun whose id is `key`. NotThere, which says what it is `called`."""
    row = connection.execute(sa.select(table).where(table.c.id == key)).one_or_none()
    if row is None:
        raise not_there(called, key)
    return noun(kind, row)


def add(connection: sa.Connection, table: sa.Table, made: Noun, **more: Any) -> Noun:
    """Keep a noun; it is given back."""
    connection.execute(sa.insert(table).values(values(made, **more)))
    return made


def replace(connection: sa.Connection, table: sa.Table, changed: Noun, **more: Any) -> Noun:
    """Keep a noun in place of the one with its id and version; it is given back with the next version.

    Stale where that is not the version that is stored.
    """
    old: Any = changed
    new: Any = dataclasses.replace(old, version=old.version + 1)
    is_same = (table.c.id == old.id) & (table.c.version == old.version)
    if connection.execute(sa.update(table).where(is_same).values(values(new, **more))).rowcount != 1:
        message = f"version {old.version} is not the newest any more."
        raise Stale.of(message, where=old.id, hint="Read it again, and make the change to what it is now.")
    return typing.cast(Noun, new)


def check_version(stored: int, expected: int | None, key: str) -> None:
    """Stale where somebody expects another version than the one that is stored; None expects nothing."""
    if expected is not None and expected != stored:
        message = f"version {expected} was to be changed, and it is of version {stored}."
        raise Stale.of(message, where=key, hint="Read it again, and make the change to what it is now.")


def not_there(called: str, key: str) -> NotThere:
    """The error for a key that nothing has."""
    return NotThere.of(f'there is no {called} "{key[:100]}".', where=key[:100])


@functools.cache
def _readers(kind: Any) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    hints = typing.get_type_hints(kind)
    return tuple((field.name, _reader(hints[field.name])) for field in dataclasses.fields(kind))


def _reader(hint: Any) -> Callable[[Any], Any]:
    """What turns a stored value into one of type `hint`: tuples and nouns are kept as JSON, the rest as it is."""
    known = [each for each in typing.get_args(hint) if each is not types.NoneType]
    inner = known[0] if isinstance(hint, types.UnionType) else hint
    if typing.get_origin(inner) is tuple or dataclasses.is_dataclass(inner):
        return lambda value: None if value is None else from_json(inner, value)
    return lambda value: value
