"""The inventory: environments are added, found, changed, looked at, and become the cluster of a job."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

from crosszone.core.environment import (
    UNREACHABLE,
    Environment,
    EnvironmentFilter,
    EnvironmentPath,
    EnvironmentTotals,
    main_environment,
    totals,
)
from crosszone.errors import CrossZoneError, Finding, SpecError

if TYPE_CHECKING:
    from crosszone.core.preflight import NodeFacts, NodePath
    from crosszone.store.opened import Store
    from crosszone.store.paths import PathSample

SLURM, KUBERNETES = "slurm", "kubernetes"
ASKED = (SLURM, KUBERNETES)
"""Formats that a program of this machine prints, where it is there."""
ASK_SECONDS = 30.0
REMEMBERED_SECONDS = 86400.0
"""That a path did not work; then nothing is known of it. Chosen: who mends a network does so within a day."""
MOST_PROBED = 64
"""Environments that are looked at together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentPage:
    """A part of the inventory, and what all that was asked for has together."""

    schema_version: int = 1
    environments: tuple[Environment, ...]
    totals: EnvironmentTotals
    """Of all pages."""
    cursor: str | None
    """What the next page starts behind; None: this is the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did; `environments` has all that it told of."""

    schema_version: int = 1
    num_added: int
    num_changed: int
    num_unchanged: int
    environments: tuple[Environment, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenCluster:
    """Some environments as the `cluster` of a job file."""

    schema_version: int = 1
    cluster: dict[str, Any]
    main_node: str
    """Id of the environment at which the others meet."""
    environment_ids: tuple[str, ...]
    """In the order of their ranks, the main one first."""
    totals: EnvironmentTotals
    missing_links: tuple[tuple[str, str], ...]
    """Zones between which nothing is known of the path: the job file needs it."""


def environments(
    store: Store, wanted: EnvironmentFilter, *, sort: str = "name", limit: int = 100, cursor: str | None = None
) -> EnvironmentPage:
    """A page of the inventory. SpecError of the sort, the limit or the cursor."""
    from crosszone.store import environments as inventory

    with store.state.reading() as connection:
        page = inventory.listed(connection, wanted, sort=sort, limit=limit, cursor=cursor)
        counted = inventory.counted(connection, wanted)
    return EnvironmentPage(environments=page.rows, totals=counted, cursor=page.cursor)


def environment(store: Store, key: str) -> Environment:
    """The environment with this id. NotThere."""
    from crosszone.store import environments as inventory

    with store.state.reading() as connection:
        return inventory.one(connection, key)


def add_environment(store: Store, entry: Mapping[str, Any], *, source: str = "hand") -> Environment:
    """Add what an entry writes down. SpecError with everything that is wrong; Conflict where its name is taken."""
    from crosszone.spec import inventory as written
    from crosszone.store import environments as inventory

    made = _with_id(written.environment(entry, now_seconds=time.time(), source=source))
    with store.state.writing() as connection:
        inventory.add(connection, [made])
    return made


def change_environment(
    store: Store, key: str, entry: Mapping[str, Any], *, expected_version: int | None = None
) -> Environment:
    """Change the keys of an entry; null takes a value away.

    Errors: NotThere; SpecError with everything that is wrong; Stale where it is not of the version that is expected;
    Conflict where its new name is taken.
    """
    from crosszone.spec import inventory as written
    from crosszone.store import environments as inventory
    from crosszone.store.rows import check_version

    with store.state.writing() as connection:
        known = inventory.one(connection, key)
        check_version(known.version, expected_version, key)
        return inventory.change(connection, written.changed(known, entry, now_seconds=time.time()))


def remove_environment(store: Store, key: str, *, expected_version: int | None = None) -> None:
    """Forget an environment. NotThere; Stale; Conflict where a task that is not over is on it."""
    from crosszone.store import environments as inventory

    with store.state.writing() as connection:
        inventory.remove(connection, key, expected_version)


def import_environments(
    store: Store, text: str, kind: str, *, defaults: Mapping[str, Any] | None = None, is_tried: bool = False
) -> Imported:
    """Add or change all that the text of a file tells of, by name: yaml | csv | hostfile | slurm | kubernetes.

    All of it or nothing. `defaults`: keys that entries take where they do not have them. `is_tried`: say what it would
    do, and do nothing. SpecError with everything that is wrong in any entry.
    """
    from crosszone.spec import inventory as written

    return _keep(store, written.read_inventory(text, kind, defaults), source=kind, is_tried=is_tried)


def import_asked(
    store: Store, kind: str, *, defaults: Mapping[str, Any] | None = None, is_tried: bool = False
) -> Imported:
    """`import_environments` of what a scheduler that this machine reaches says of its nodes: slurm | kubernetes.

    PreflightFailed where it says nothing.
    """
    import subprocess

    from crosszone.errors import PreflightFailed
    from crosszone.spec.inventory import SINFO
    from crosszone.spec.kubernetes_nodes import GET_NODES

    command, called = {SLURM: (SINFO, "Slurm"), KUBERNETES: (GET_NODES, "Kubernetes")}[kind]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = " ".join(str(getattr(error, "stderr", "") or error).split()).removesuffix(".")
        hint = f"Run `{' '.join(command)}` where {called} is, and import what it prints."
        raise PreflightFailed.of(f"{called} does not answer: {said}.", where=command[0], hint=hint) from None
    return import_environments(store, done.stdout, kind, defaults=defaults, is_tried=is_tried)


def probe_environments(store: Store, keys: Sequence[str]) -> Imported:
    """Look at environments over ssh, at what they are and at the paths between their zones, and keep what is seen.

    Who does not answer becomes unreachable; nothing else of it changes. Errors: NotThere; SpecError where one has no
    address, or they are too many.
    """
    from crosszone.core.preflight import ProbedNode, ProbeRequest
    from crosszone.service.preflights import preflight
    from crosszone.store import environments as inventory
    from crosszone.store import paths

    with store.state.reading() as connection:
        known = inventory.several(connection, keys)
    _check_probed(known)
    nodes = tuple(
        ProbedNode(
            index=index, zone=each.zone, node_group=0, node=index, address=each.addresses[0], interface=each.interface
        )
        for index, each in enumerate(known)
    )
    report = preflight(ProbeRequest(nodes=nodes, port=0))
    now_seconds = time.time()
    seen = [
        replace(each, status=UNREACHABLE, updated_seconds=now_seconds)
        if facts is None
        else _seen(each, facts, now_seconds)
        for each, facts in zip(known, report.facts, strict=True)
    ]
    with store.state.writing() as connection:
        current = {each.id: each.version for each in inventory.several(connection, keys)}
        kept = tuple(inventory.change(connection, replace(each, version=current[each.id])) for each in seen)
        for link in _seen_links(report.measured_links, now_seconds):
            inventory.keep_link(connection, link)
    with store.telemetry.writing() as connection:
        paths.add(connection, _seen_paths(known, report.paths, now_seconds))
    warnings = tuple(f"{each.where}: {each.message}" for each in report.findings)
    num_seen = sum(facts is not None for facts in report.facts)
    return Imported(
        num_added=0,
        num_changed=num_seen,
        num_unchanged=len(kept) - num_seen,
        environments=kept,
        warnings=warnings,
    )


def set_zone_link(store: Store, from_zone: str, to_zone: str, path: Mapping[str, Any], *, is_both: bool = True) -> None:
    """Keep what is known of the path from one zone to another, as a job file writes it, and by default of the way back.

    SpecError with everything that is wrong.
    """
    from crosszone.spec.clusters import check_path
    from crosszone.store import environments as inventory

    check_path(path)
    if from_zone == to_zone:
        raise SpecError.of(f'a path leads from one zone to another, not from "{from_zone}" to itself.', where="to")
    pairs = [(from_zone, to_zone), *([(to_zone, from_zone)] if is_both else [])]
    now_seconds = time.time()
    with store.state.writing() as connection:
        for start, end in pairs:
            kept = inventory.ZoneLinkPath(
                from_zone=start, to_zone=end, path=dict(path), source="hand", seen_seconds=now_seconds
            )
            inventory.keep_link(connection, kept)


def zone_links(store: Store) -> tuple[Any, ...]:
    """What is known of the paths between zones."""
    from crosszone.store import environments as inventory

    with store.state.reading() as connection:
        return inventory.links(connection)


def chosen_cluster(store: Store, keys: Sequence[str], *, main_node: str | None = None) -> ChosenCluster:
    """The environments with these ids as the cluster of a job.

    `main_node`: id of the one at which the others meet; None: the most stable one of them. Errors: NotThere;
    SpecError where none is chosen, one is chosen twice, one has no GPU, or the main one is not among them.
    """
    from crosszone.spec.clusters import cluster_keys, missing_links, node_groups
    from crosszone.store import environments as inventory

    with store.state.reading() as connection:
        chosen = inventory.several(connection, keys)
        links = inventory.links(connection, sorted({each.zone for each in chosen}))
    _check_chosen(chosen, keys, main_node)
    main = main_node or main_environment(chosen, unreachable_pairs(store, keys)).id
    # Its zone first, and in it the group of those that are like it.
    by_main = sorted(chosen, key=lambda each: each.id != main)
    ordered = [each for group in node_groups(by_main) for each in group]
    known = {(link.from_zone, link.to_zone): link.path for link in links}
    return ChosenCluster(
        cluster=cluster_keys(ordered, known),
        main_node=ordered[0].id,
        environment_ids=tuple(each.id for each in ordered),
        totals=totals(ordered),
        missing_links=missing_links(ordered, known),
    )


def unreachable_pairs(store: Store, keys: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(from, to) of these environments of which one did not reach the other when that was tried last, of late."""
    from crosszone.store import paths

    with store.telemetry.reading() as connection:
        return paths.unreachable(connection, keys, since_seconds=time.time() - REMEMBERED_SECONDS)


def environment_paths(store: Store, keys: Sequence[str]) -> tuple[EnvironmentPath, ...]:
    """What is known of the path from each of these environments to each other one, the senders in the order of `keys`.

    Errors: NotThere; SpecError where they are too many.
    """
    from crosszone.store import environments as inventory
    from crosszone.store import paths

    if len(keys) > MOST_PROBED:
        raise SpecError.of(f"{len(keys)} environments are chosen; {MOST_PROBED} are shown at most.", where="ids")
    with store.state.reading() as connection:
        chosen = inventory.several(connection, keys)
        links = inventory.links(connection, sorted({each.zone for each in chosen}))
    with store.telemetry.reading() as connection:
        looks = paths.newest(connection, keys, since_seconds=time.time() - REMEMBERED_SECONDS)
    looked_at = {(each.from_environment, each.to_environment): each for each in looks}
    known = {(link.from_zone, link.to_zone): link.path for link in links}
    return tuple(
        _path(start, end, looked_at.get((start.id, end.id)), known.get((start.zone, end.zone), {}))
        for start, end in permutations(chosen, 2)
    )


def add_demo(store: Store) -> None:
    """Fill an empty store with what a demonstration starts with; the links are illustrative."""
    from pathlib import Path

    text = Path(__file__).with_name("demo_inventory.yaml").read_text(encoding="utf-8")
    zones = dict.fromkeys(each.zone for each in import_environments(store, text, "yaml").environments)
    for start, end in combinations(zones, 2):
        set_zone_link(store, start, end, {"bandwidth": "10 Gbit/s", "rtt": "30 ms"})


def _path(start: Environment, end: Environment, sample: PathSample | None, known: Mapping[str, Any]) -> EnvironmentPath:
    from crosszone.spec.clusters import path_figures

    look = None if sample is None else sample.look
    zones_rtt_seconds, zones_rate = path_figures(known)
    rtt_seconds = None if look is None else look.rtt_seconds
    rate = None if look is None else look.bytes_per_second
    return EnvironmentPath(
        from_environment=start.id,
        to_environment=end.id,
        is_open=None if look is None else look.is_open,
        rtt_seconds=zones_rtt_seconds if rtt_seconds is None else rtt_seconds,
        bytes_per_second=zones_rate if rate is None else rate,
        is_measured=look is not None,
        seen_seconds=None if sample is None else sample.seconds,
    )


def _with_id(made: Environment) -> Environment:
    from crosszone.store.ids import new_id

    return made if made.id else replace(made, id=new_id("env", made.created_seconds))


def _keep(store: Store, entries: Sequence[tuple[str, Mapping[str, Any]]], *, source: str, is_tried: bool) -> Imported:
    from crosszone.spec import inventory as written
    from crosszone.store import environments as inventory

    now_seconds = time.time()
    findings = [*_twice(entries)]
    with store.state.writing() as connection:
        known = inventory.by_name(connection, [str(entry.get("name")) for _, entry in entries])
        added, kept, num_changed = [], [], 0
        for place, entry in entries:
            before = known.get(str(entry.get("name")))
            try:
                made = written.environment(entry, now_seconds=now_seconds, source=source, where=place)
                after = (
                    made if before is None else written.changed(before, entry, now_seconds=now_seconds, source=source)
                )
            except CrossZoneError as error:
                findings += error.findings
                continue
            if before is None:
                added.append(_with_id(after))
                kept.append(added[-1])
            else:
                is_same = replace(after, **_stamps(before)) == before
                num_changed += not is_same
                seen = replace(after, seen_seconds=now_seconds)
                kept.append(seen if is_tried else inventory.change(connection, seen))
        if findings:
            raise SpecError(*findings)
        if added and not is_tried:
            inventory.add(connection, added)
    return Imported(
        num_added=len(added),
        num_changed=num_changed,
        num_unchanged=len(kept) - len(added) - num_changed,
        environments=tuple(kept),
    )


def _stamps(known: Environment) -> dict[str, Any]:
    """What changes with every import, whether anything else does or not."""
    names = ("updated_seconds", "seen_seconds", "started_seconds", "source", "version")
    return {name: getattr(known, name) for name in names}


def _twice(entries: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Finding]:
    first: dict[str, str] = {}
    found = []
    for place, entry in entries:
        name = str(entry.get("name"))
        if name in first:
            message = f'"{name}" is also at {first[name]}.'
            found.append(Finding(code="duplicate_name", message=message, where=place, hint="Leave one of them."))
        first.setdefault(name, place)
    return found


def _check_probed(known: Sequence[Environment]) -> None:
    if not 1 <= len(known) <= MOST_PROBED:
        raise SpecError.of(f"{len(known)} environments are chosen; 1 to {MOST_PROBED} are looked at.", where="ids")
    silent = [
        Finding(code="no_address", message=f'"{each.name}" has no address.', where=each.id, hint="Write addresses.")
        for each in known
        if not each.addresses
    ]
    if silent:
        raise SpecError(*silent)


def _check_chosen(chosen: Sequence[Environment], keys: Sequence[str], main_node: str | None) -> None:
    findings = []
    if not chosen:
        findings.append(Finding(code="none_chosen", message="no environment is chosen.", where="ids"))
    for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
        message = f"{key} is chosen {keys.count(key)} times."
        findings.append(Finding(code="chosen_twice", message=message, where="ids"))
    findings += [
        Finding(code="no_gpu", message=f'"{each.name}" ({each.id}) has no GPU.', where="ids", hint="Leave it out.")
        for each in chosen
        if not each.num_gpus or each.gpu is None
    ]
    if main_node is not None and main_node not in keys:
        message = f"the main node {main_node} is not among the {len(keys)} that are chosen."
        findings.append(Finding(code="invalid_main_node", message=message, where="main_node"))
    if findings:
        raise SpecError(*findings)


def _seen(known: Environment, facts: NodeFacts, now_seconds: float) -> Environment:
    """What a look at a node says; what it does not say stays."""
    from crosszone.spec.inventory import gpu_name

    found: dict[str, Any] = {
        "driver_version": facts.driver_version,
        "cuda_version": facts.cuda_version,
        "nccl_version": facts.nccl_version,
        "num_cpus": facts.num_cpus,
        "memory_bytes": facts.memory_bytes,
    }
    if facts.gpus:
        sizes = [gpu.memory_bytes for gpu in facts.gpus if gpu.memory_bytes is not None]
        free = [gpu.free_bytes for gpu in facts.gpus if gpu.free_bytes is not None]
        found |= {"gpu": gpu_name(facts.gpus[0].name), "num_gpus": len(facts.gpus)}
        found |= {"gpu_memory_bytes": min(sizes, default=None), "free_gpu_memory_bytes": min(free, default=None)}
    device = facts.interface(known.interface)
    if device is not None and device.bytes_per_second is not None and known.network_bytes_per_second is None:
        found |= {"network_bytes_per_second": device.bytes_per_second, "num_rails": 1}
    said: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
    stamps: dict[str, Any] = {
        "status": "running",
        "seen_seconds": now_seconds,
        "updated_seconds": now_seconds,
        "source": "ssh",
    }
    return replace(known, **said, **stamps)


def _seen_paths(known: Sequence[Environment], seen: Sequence[NodePath], now_seconds: float) -> list[PathSample]:
    """What was seen of the paths between environments; of one that does not answer at all nothing is said."""
    from crosszone.core.path_watch import look_along
    from crosszone.store.paths import PathSample

    found = []
    for path in seen:
        start, end = known[path.from_node], known[path.to_node]
        look = look_along(path, (start.addresses[0], start.zone), (end.addresses[0], end.zone))
        sample = PathSample(
            from_environment=start.id, to_environment=end.id, attempt_id=None, seconds=now_seconds, look=look
        )
        found.append(sample)
    return found


def _seen_links(measured: Sequence[Any], now_seconds: float) -> list[Any]:
    from crosszone.launch.preflight.links import job_links
    from crosszone.store.environments import ZoneLinkPath

    found = []
    for row in job_links(tuple(measured)):
        path: dict[str, Any] = dict(row)
        from_zone, to_zone = str(path.pop("from")), str(path.pop("to"))
        found.append(
            ZoneLinkPath(from_zone=from_zone, to_zone=to_zone, path=path, source="ssh", seen_seconds=now_seconds)
        )
    return found
