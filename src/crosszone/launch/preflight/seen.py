"""What came back from the nodes, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crosszone.core.codec import from_json
from crosszone.core.preflight import NodeFacts, NodePath, Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSeen:
    """The checkpoint folder: one node wrote a file into it."""

    writer: int
    problem: str | None
    """Why it could not; None: it did."""
    missed_by: tuple[int, ...]
    """Nodes that did not see the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneRate:
    """What several nodes of a zone brought to as many of another, at the same time."""

    from_zone: str
    to_zone: str
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All of it."""

    facts: tuple[NodeFacts | None, ...]
    lost: Mapping[int, str]
    """Nodes that cannot be asked, and what was seen last of them."""
    paths: Mapping[tuple[int, int], NodePath]
    port_problem: str | None
    """Why the port where ranks meet cannot be opened on the first node."""
    hidden: tuple[tuple[int, int, str], ...] = ()
    """(from, to, address): the other's own address, which it tells its peers, and which this one cannot reach."""
    zone_rates: tuple[ZoneRate, ...] = ()
    folder: FolderSeen | None = None
    not_measured: tuple[str, ...] = ()


def node_facts(said: Mapping[str, Any]) -> NodeFacts:
    """Facts as a node sent them. Errors: SpecError where it sent something else."""
    return from_json(NodeFacts, dict(said))
