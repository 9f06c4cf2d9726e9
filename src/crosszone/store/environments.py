"""The inventory: environments, and what is known of the paths between their zones."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crosszone.core.environment import Environment, EnvironmentFilter, EnvironmentTotals, totals
from crosszone.core.task import FINAL_STATES
from crosszone.errors import Conflict, Finding, NotThere
from crosszone.store import rows
from crosszone.store.pages import Order, Page, like, order, page
from crosszone.store.tables import environments, reservations, task_environments, tasks, zone_links

CALLED = "environment"
SORTS: dict[str, sa.ColumnElement[Any]] = {
    "name": environments.c.name,
    "zone": environments.c.zone,
    "gpu": environments.c.gpu,
    "gpus": environments.c.num_gpus,
    "cpus": environments.c.num_cpus,
    "memory": environments.c.memory_bytes,
    "price": environments.c.dollars_per_gpu_second,
    "uptime": environments.c.started_seconds,
    "status": environments.c.status,
    "seen": environments.c.seen_seconds,
    "created": environments.c.created_seconds,
}
"""What a list may be sorted by."""
GROWING_WITH_AGE = ("uptime",)
"""Who has been up for long started early."""
_TEXT_FIELDS = ("id", "name", "kind", "status", "zone", "region", "image", "gpu", "interface", "source", "health")
_COUNTED = ("zone", "gpu", "num_gpus", "num_cpus", "memory_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneLinkPath:
    """What is known of the path from one zone to another."""

    from_zone: str
    to_zone: str
    path: dict[str, Any]
    """As a job file writes a link, without its zones."""
    source: str
    seen_seconds: float


def add(connection: sa.Connection, added: Sequence[Environment]) -> None:
    """Keep new environments. Conflict, with every name and id that is taken."""
    names, ids = [each.name for each in added], [each.id for each in added]
    taken = connection.execute(
        sa.select(environments.c.id, environments.c.name).where(
            environments.c.name.in_(names) | environments.c.id.in_(ids)
        )
    ).all()
    if taken:
        raise Conflict(*(_taken(row.id, row.name, names) for row in taken))
    connection.execute(sa.insert(environments), [rows.values(each, **_searched(each)) for each in added])


def one(connection: sa.Connection, key: str) -> Environment:
    """The environment with this id. NotThere."""
    return rows.one(connection, environments, Environment, key, called=CALLED)


def several(connection: sa.Connection, keys: Sequence[str]) -> tuple[Environment, ...]:
    """The environments with these ids, in this order. NotThere, with every id that nothing has."""
    found = {each.id: each for each in by_id(connection, keys)}
    missing = [key for key in dict.fromkeys(keys) if key not in found]
    if missing:
        raise NotThere(*(each for key in missing for each in rows.not_there(CALLED, key).findings))
    return tuple(found[key] for key in keys)


def by_id(connection: sa.Connection, keys: Sequence[str]) -> tuple[Environment, ...]:
    """Those of the environments with these ids that there are, in no order."""
    wanted = sa.select(environments).where(environments.c.id.in_(keys))
    return tuple(rows.noun(Environment, row) for row in connection.execute(wanted))


def by_name(connection: sa.Connection, names: Sequence[str]) -> dict[str, Environment]:
    """Those of the environments with these names that there are, by name."""
    wanted = sa.select(environments).where(environments.c.name.in_(names))
    return {row.name: rows.noun(Environment, row) for row in connection.execute(wanted)}


def change(connection: sa.Connection, changed: Environment) -> Environment:
    """Keep a changed environment; it is given back with its next version. Stale; Conflict where its name is taken."""
    same_name = (environments.c.name == changed.name) & (environments.c.id != changed.id)
    taken = connection.execute(sa.select(environments.c.id, environments.c.name).where(same_name)).first()
    if taken is not None:
        raise Conflict(_taken(taken.id, taken.name, [changed.name]))
    return rows.replace(connection, environments, changed, **_searched(changed))


def remove(connection: sa.Connection, key: str, expected_version: int | None = None) -> None:
    """Forget an environment. NotThere; Stale; Conflict where a task that is not over is on it."""
    rows.check_version(one(connection, key).version, expected_version, key)
    users = connection.execute(
        sa.select(tasks.c.id, tasks.c.name)
        .join(task_environments, task_environments.c.task_id == tasks.c.id)
        .where((task_environments.c.environment_id == key) & tasks.c.state.not_in(FINAL_STATES))
    ).all()
    reserved = connection.execute(
        sa.select(sa.func.count()).select_from(reservations).where(reservations.c.environment_id == key)
    ).scalar_one()
    if users or reserved:
        names = ", ".join(f'"{user.name}" ({user.id})' for user in users) or f"{reserved} reservations"
        raise Conflict.of(f"it is in use: {names}.", where=key, hint="Stop what uses it first.", code="in_use")
    connection.execute(sa.delete(environments).where(environments.c.id == key))


def listed(
    connection: sa.Connection,
    wanted: EnvironmentFilter,
    *,
    sort: str = "name",
    limit: int = 100,
    cursor: str | None = None,
) -> Page[Environment]:
    """A page of those that are `wanted`. SpecError of the sort, the limit or the cursor."""
    by: Order = order(sort, SORTS, GROWING_WITH_AGE)
    return page(connection, environments, Environment, where=_where(wanted), by=by, limit=limit, cursor=cursor)


def counted(connection: sa.Connection, wanted: EnvironmentFilter) -> EnvironmentTotals:
    """What all that are `wanted` have together: of the same rows as the list, where both are read at one moment."""
    columns = [environments.c[name] for name in _COUNTED]
    found = connection.execute(sa.select(*columns).where(_where(wanted)))
    return totals([Environment(id="", name="", **row._mapping) for row in found])


def keep_link(connection: sa.Connection, link: ZoneLinkPath) -> None:
    """Keep what is known of a path, in place of what was known."""
    is_same = (zone_links.c.from_zone == link.from_zone) & (zone_links.c.to_zone == link.to_zone)
    connection.execute(sa.delete(zone_links).where(is_same))
    connection.execute(sa.insert(zone_links).values(dataclasses.asdict(link)))


def links(connection: sa.Connection, zones: Sequence[str] | None = None) -> tuple[ZoneLinkPath, ...]:
    """What is known of the paths between `zones`, or between all."""
    wanted = sa.select(zone_links).order_by(zone_links.c.from_zone, zone_links.c.to_zone)
    if zones is not None:
        wanted = wanted.where(zone_links.c.from_zone.in_(zones) & zone_links.c.to_zone.in_(zones))
    return tuple(rows.noun(ZoneLinkPath, row) for row in connection.execute(wanted))


def _where(wanted: EnvironmentFilter) -> sa.ColumnElement[bool]:
    table = environments.c
    lists: Mapping[sa.Column[Any], tuple[str, ...]] = {
        table.zone: wanted.zones,
        table.gpu: wanted.gpus,
        table.status: wanted.statuses,
        table.kind: wanted.kinds,
    }
    conditions: list[sa.ColumnElement[bool]] = [column.in_(choices) for column, choices in lists.items() if choices]
    if wanted.frameworks:
        conditions.append(sa.or_(*(like(table.framework_list, f",{name},") for name in wanted.frameworks)))
    conditions += [like(table.search_text, word) for word in wanted.text.split()]
    return sa.and_(sa.true(), *conditions)


def _searched(environment: Environment) -> dict[str, str]:
    texts = [getattr(environment, name) or "" for name in _TEXT_FIELDS]
    words = [*texts, *environment.addresses, *environment.frameworks]
    return {
        "search_text": "\n".join(words).casefold(),
        "framework_list": f",{','.join(environment.frameworks)},".casefold(),
    }


def _taken(key: str, name: str, names: Sequence[str]) -> Finding:
    called, value = ("name", name) if name in names else ("id", key)
    message = f'the {called} "{value}" is taken: {key} has it.'
    return Finding(code="taken", message=message, where=called, hint="Take another, or change the one that is there.")
