"""What else is kept: data sets and models by their ids, deployments, what happens as it happens, and who did what."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from crosszone.core.task import FINAL_STATES
from crosszone.errors import Finding, SpecError, nearest_hint

if TYPE_CHECKING:
    from crosszone.core.bundle import BundleFile, FileChange
    from crosszone.core.retention import Dropped, Retention
    from crosszone.store.deployments import Deployment
    from crosszone.store.opened import Store
    from crosszone.store.records import Asset

Found = TypeVar("Found")

DATASET, MODEL = "dataset", "model"
ASSET_KEYS = {DATASET: ("name", "zone", "size", "tokens"), MODEL: ("name", "model", "size")}
"""What may be said of a version of each."""
MOST_ID_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvents:
    """What happened since."""

    events: tuple[tuple[int, str, dict[str, Any]], ...]
    """(number, kind, what it says), the oldest first; numbers grow with every event of any kind."""
    is_ended: bool
    """Whether nothing more will come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentPage:
    """A part of the list of deployments."""

    schema_version: int = 1
    deployments: tuple[Deployment, ...]
    cursor: str | None


def keep_asset(store: Store, kind: str, key: str, version_id: str, said: Mapping[str, Any]) -> Asset:
    """Tell what a data set's version or a model is, in place of what was told before: `ASSET_KEYS` says with what.

    SpecError with everything that is wrong.
    """
    from crosszone import units
    from crosszone.store import records

    known = ASSET_KEYS[kind]
    findings = [
        Finding(code="unknown_key", message=f'unknown key "{name}".', where=name, hint=nearest_hint(name, known))
        for name in said
        if name not in known
    ]
    read: dict[str, Any] = {}
    for name, dimension in (("size", "bytes"), ("tokens", "count")):
        try:
            read[name] = None if said.get(name) is None else units.parse(said[name], dimension, name=name)  # type: ignore[arg-type]
        except SpecError as error:
            findings += [
                Finding(code=each.code, message=each.message, where=name, hint=each.hint) for each in error.findings
            ]
    texts = {name: said.get(name) for name in ("name", "zone")}
    texts |= {"id": key, "version": version_id}
    findings += [
        Finding(code="wrong_type", message=f"{name} is not printable text of {MOST_ID_CHARACTERS} at most.", where=name)
        for name, text in texts.items()
        if text is not None and not (isinstance(text, str) and text.isprintable() and len(text) <= MOST_ID_CHARACTERS)
    ]
    if kind == MODEL and not findings:
        findings += _model_findings(said.get("model"))
    if findings:
        raise SpecError(*findings)
    asset = records.Asset(
        kind=kind,
        id=key,
        version_id=version_id,
        name=said.get("name") or key,
        zone=said.get("zone"),
        size_bytes=read["size"],
        num_tokens=read["tokens"],
        model=said.get("model"),
        created_seconds=time.time(),
    )
    with store.state.writing() as connection:
        return records.keep_asset(connection, asset)


def assets(store: Store, kind: str) -> tuple[Asset, ...]:
    """All versions of all data sets, or all models, that were told of."""
    from crosszone.store import records

    with store.state.reading() as connection:
        return records.all_assets(connection, kind)


def stored_deployments(
    store: Store, *, sort: str = "-created", limit: int = 100, cursor: str | None = None
) -> DeploymentPage:
    """A page of deployments. SpecError of the sort, the limit or the cursor."""
    from crosszone.store import deployments as stored

    with store.state.reading() as connection:
        page = stored.listed(connection, sort=sort, limit=limit, cursor=cursor)
    return DeploymentPage(deployments=page.rows, cursor=page.cursor)


def deployment(store: Store, key: str) -> Deployment:
    """The deployment with this id. NotThere."""
    from crosszone.store import deployments as stored

    with store.state.reading() as connection:
        return stored.one(connection, key)


def deployment_files(store: Store, key: str) -> tuple[BundleFile, ...]:
    """The files of a deployment, by path. NotThere."""
    from crosszone.store import deployments as stored

    with store.state.reading() as connection:
        return stored.files(connection, key)


def deployment_changes(store: Store, before: str, after: str) -> tuple[FileChange, ...]:
    """How the files of one deployment differ from those of another. NotThere."""
    from crosszone.deploy.folder import text_changes

    old, new = ({file.path: file.text for file in deployment_files(store, key)} for key in (before, after))
    return text_changes(old, new)


def remove_deployment(store: Store, key: str) -> None:
    """Forget a deployment, and the files that no other has. NotThere; Conflict where tasks that go on refer to it."""
    from crosszone.store import deployments as stored

    with store.state.writing() as connection:
        stored.remove(connection, key)


def stored_events(store: Store, number: int, *, task_id: str | None = None) -> StoredEvents:
    """What happened behind the event of this number, to one task or to all. NotThere of the task."""
    from crosszone.store import journal, tasks

    with store.state.reading() as connection:
        is_ended = task_id is not None and tasks.one(connection, task_id).state in FINAL_STATES
        found = journal.events_after(connection, number, subject_id=task_id)
    events = tuple((each.sequence, each.kind, {**each.body, "sequence": each.sequence}) for each in found)
    return StoredEvents(events=events, is_ended=is_ended and len(events) < journal.MOST_EVENTS)


def drop_old(store: Store, retention: Retention, *, is_ending: Callable[[], bool] = lambda: False) -> Dropped:
    """Drop what `retention` does not keep, a few rows at a time; before each few, `is_ending` may end it.

    CrossZoneError as a database raises it.
    """
    from crosszone.store.retention import Sweeper

    return Sweeper(store, retention, is_ending=is_ending).sweep(time.time())


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """A line of the audit log."""

    actor: str
    action: str
    target: str = ""
    """What was changed; where it is empty, the id of what comes of it."""
    status: int
    """Of the answer."""
    request_id: str | None = None


def noted(store: Store, note: Noted, function: Callable[..., Found], *arguments: Any, **more: Any) -> Found:
    """What `function` changes, with a line in the audit log: both, or neither. For functions that only write."""
    with store.state.writing():
        found = function(store, *arguments, **more)
        note_request(store, note if note.target else replace(note, target=str(getattr(found, "id", ""))))
    return found


def note_request(store: Store, note: Noted) -> None:
    """Write down who asked for a change, and what was answered."""
    from crosszone.store import journal

    with store.state.writing() as connection:
        journal.note(
            connection,
            actor=note.actor,
            action=note.action,
            target=note.target,
            status=note.status,
            request_id=note.request_id,
            now_seconds=time.time(),
        )


def _model_findings(model: Any) -> list[Finding]:
    """What is wrong with a model as a job file has it; it may name no files."""
    from crosszone.planner.names import read_named
    from crosszone.spec import open_job

    job = {
        "model": model,
        "workload": {"sequence_length": 1, "global_batch_size": 1},
        "cluster": {"zones": [{"name": "x", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 1}]}]},
    }
    try:
        read_named(open_job(job))
    except SpecError as error:
        return [each for each in error.findings if each.where.startswith("model")]
    return []
