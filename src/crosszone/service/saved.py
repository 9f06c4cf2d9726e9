"""Plans, predictions and runs that were saved: kept under a name, found again, compared by id."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crosszone.errors import Finding, SpecError, nearest_hint

if TYPE_CHECKING:
    from crosszone.core.side_by_side import SideBySide
    from crosszone.store.opened import Store
    from crosszone.store.records import SavedRun

RUNS_PATH = "/api/v1/runs"
PREDICTED = "predicted"
MOST_NAME_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A saved run as a list has it."""

    id: str
    name: str
    kind: str
    """predicted | measured"""
    task_id: str | None
    framework: str | None
    fingerprint: str | None
    predicted_step_seconds: float | None
    measured_step_seconds: float | None
    owner: str
    created_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """A part of the list of saved runs."""

    schema_version: int = 1
    runs: tuple[RunSummary, ...]
    cursor: str | None
    """What the next page starts behind; None: this is the last."""


def save_run(store: Store, entry: Mapping[str, Any], *, actor: str, key: str | None = None) -> SavedRun:
    """Keep a prediction, a plan with its prediction, or an answer of plan (of which the first counts), as `name`.

    `job` is kept with it. Under the same `key`, once. SpecError with everything that is wrong; Conflict where the key
    came with another request.
    """
    from crosszone.store import answers, records
    from crosszone.store.ids import new_id

    found = _checked(entry)
    digest, now_seconds = answers.request_digest("POST", RUNS_PATH, dict(entry)), time.time()
    with store.state.writing() as connection:
        if key is not None:
            kept = answers.kept(connection, actor, key, digest, now_seconds=now_seconds)
            if kept is not None:
                return records.one_run(connection, kept.body)
        made = records.SavedRun(
            id=new_id("run", now_seconds),
            name=entry["name"],
            kind=PREDICTED,
            fingerprint=found.get("fingerprint"),
            job=entry.get("job") or {},
            plan=found.get("plan"),
            prediction={name: value for name, value in found.items() if name != "plan" and value is not None},
            owner=actor,
            created_seconds=now_seconds,
        )
        records.add_run(connection, made)
        if key is not None:
            answer = answers.Answer(status=201, headers={}, body=made.id)
            answers.keep(connection, actor, key, digest, answer, now_seconds=now_seconds)
    return made


def saved_runs(
    store: Store,
    *,
    kinds: Sequence[str] = (),
    text: str = "",
    sort: str = "-created",
    limit: int = 100,
    cursor: str | None = None,
) -> RunPage:
    """A page of saved runs, by kind and by words of their names. SpecError of the sort, the limit or the cursor."""
    from crosszone.store import records

    with store.state.reading() as connection:
        page = records.listed_runs(connection, kinds=kinds, text=text, sort=sort, limit=limit, cursor=cursor)
    return RunPage(runs=tuple(_summary(run) for run in page.rows), cursor=page.cursor)


def saved_run(store: Store, key: str) -> SavedRun:
    """The saved run with this id. NotThere."""
    from crosszone.store import records

    with store.state.reading() as connection:
        return records.one_run(connection, key)


def remove_run(store: Store, key: str) -> None:
    """Forget a saved run. NotThere."""
    from crosszone.store import records

    with store.state.writing() as connection:
        records.remove_run(connection, key)


def compare_runs(store: Store, keys: Sequence[str]) -> SideBySide:
    """Saved runs side by side, each called by its name. NotThere; SpecError where they cannot be compared."""
    from crosszone.service.comparison import compare

    found = [saved_run(store, key) for key in keys]
    return compare([(run.name, _side(run)) for run in found])


def _checked(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The prediction that an entry has, with its plan. SpecError with everything that is wrong."""
    from crosszone.service.comparison import compare, one_prediction

    known = ("name", "result", "job")
    findings = [
        Finding(code="unknown_key", message=f'unknown key "{name[:50]}".', where=name, hint=nearest_hint(name, known))
        for name in entry
        if name not in known
    ]
    name, job = entry.get("name"), entry.get("job")
    if not isinstance(name, str) or not name.isprintable() or not 1 <= len(name) <= MOST_NAME_CHARACTERS:
        message = f"name is not printable text of 1 to {MOST_NAME_CHARACTERS} characters."
        findings.append(Finding(code="wrong_name", message=message, where="name", hint="Say what to call it."))
    if job is not None and not isinstance(job, dict):
        findings.append(Finding(code="wrong_type", message="job is not an object.", where="job"))
    found: dict[str, Any] = {}
    try:
        found = one_prediction(entry.get("result"), where="result")
        json.dumps(found, allow_nan=False)
        compare([("result", found), ("result", found)])
    except SpecError as error:
        findings += list(dict.fromkeys(error.findings))
    if not all(isinstance(found.get(key), str | None) for key in ("fingerprint", "framework")):
        findings.append(Finding(code="wrong_type", message="a name in it is not text.", where="result"))
    if not isinstance(found.get("plan"), dict | None):
        findings.append(Finding(code="wrong_type", message="the plan in it is not an object.", where="result.plan"))
    if findings:
        raise SpecError(*findings)
    return found


def _side(run: SavedRun) -> dict[str, Any]:
    value: dict[str, Any] = {"problem": run.job or None, **(run.prediction or {}), "plan": run.plan}
    if run.measurement is None:
        return value
    return {**value, "plan": _whole_plan(run), "measurement": run.measurement}


def _whole_plan(run: SavedRun) -> dict[str, Any] | None:
    """The plan of a run with what follows from it, as saved plans have it. SpecError where it is no plan."""
    from crosszone.core.codec import from_json
    from crosszone.core.plan import Plan
    from crosszone.service.as_json import plan_json

    if run.plan is None:
        return None
    plan: Plan = from_json(Plan, run.plan, where=f"{run.name}: plan")
    return plan_json(plan)


def _summary(run: SavedRun) -> RunSummary:
    predicted, measured = run.prediction or {}, run.measurement or {}
    return RunSummary(
        id=run.id,
        name=run.name,
        kind=run.kind,
        task_id=run.task_id,
        framework=predicted.get("framework"),
        fingerprint=run.fingerprint,
        predicted_step_seconds=predicted.get("step_seconds"),
        measured_step_seconds=measured.get("step_seconds"),
        owner=run.owner,
        created_seconds=run.created_seconds,
    )
