"""Saved predictions, plans and runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.errors import SpecError
from crosszone.service.files import decoded, read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crosszone.core.side_by_side import SideBySide

MANIFEST = "metadata.json"


def compare(named: Sequence[tuple[str, dict[str, Any]]]) -> SideBySide:
    """What was saved, by name: predictions, answers of `plan` (of which the first plan counts) and runs.

    SpecError with everything that cannot be compared.
    """
    from crosszone.verify.side_by_side import side_by_side

    return side_by_side([(name, one_prediction(value, where=name)) for name, value in named])


def compare_table(named: Sequence[tuple[str, dict[str, Any]]], path: str | Path) -> SideBySide:
    """`compare` with every value in the table at `path`, *.csv or *.parquet: a row for each, a column for each side.

    One side is enough. SpecError as `compare`, and of the path; PreflightFailed where what writes it is not installed.
    """
    from crosszone.sweeps.table_file import check_format, write_table
    from crosszone.verify.side_by_side import side_by_side

    check_format(Path(path))
    found = side_by_side([(name, one_prediction(value, where=name)) for name, value in named], least=1)
    names = [side.name for side in found.sides]
    columns = [name if names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, start=1)]
    rows = [
        {"section": row.section, "name": row.name, **dict(zip(columns, row.values, strict=True))} for row in found.rows
    ]
    write_table(Path(path), rows)
    return found


def saved_result(reference: str) -> tuple[str, dict[str, Any]]:
    """What is at `reference`, for `compare`: a file of JSON, one plan of it as PLANS.json#2, or a bundle's folder.

    SpecError where it cannot be read.
    """
    path, separator, number = reference.rpartition("#")
    if not separator or not number.isdigit():
        path, number = reference, ""
    if Path(path).is_dir():
        return reference, _of_bundle(Path(path))
    value = _json(Path(path))
    return reference, one_prediction(value, int(number) if number else None, where=reference)


def one_prediction(value: Any, number: int | None = None, *, where: str) -> dict[str, Any]:
    """The prediction that is meant, with its plan and its problem where it was saved with them. SpecError.

    `number`: of the plan in an answer of `plan`; None: the first.
    """
    if not isinstance(value, dict):
        raise SpecError.of("it is no JSON object.", where=where, hint="Give what `crosszone predict --json` printed.")
    plans = value.get("plans")
    if not isinstance(plans, list):
        return value
    wanted = number or 1
    if not 1 <= wanted <= len(plans):
        hint = f"Write #1 to #{len(plans)}." if plans else "Nothing fitted when it was written."
        message = f"there is no plan {wanted}: the file has {len(plans)}."
        raise SpecError.of(message, where=where, hint=hint, code="unknown_name")
    chosen = plans[wanted - 1]
    parts = chosen if isinstance(chosen, dict) else {}
    prediction = parts.get("prediction")
    return {
        "problem": value.get("problem"),
        **(prediction if isinstance(prediction, dict) else {}),
        "plan": parts.get("plan"),
    }


def compare_json(found: SideBySide) -> dict[str, Any]:
    """Compare JSON."""
    from crosszone.core.codec import to_json

    value: dict[str, Any] = to_json(found)
    return value


def _of_bundle(folder: Path) -> dict[str, Any]:
    """The prediction that a bundle was made with, and its newest run where it has ended."""
    from crosszone.core.codec import from_json, to_json
    from crosszone.core.plan import Plan
    from crosszone.service.as_json import plan_json
    from crosszone.service.runs import run_status

    manifest = _json(folder / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("prediction"), dict):
        raise SpecError.of("is no bundle.", where=str(folder), hint="`crosszone deploy` writes one.", code="no_bundle")
    plan: Plan = from_json(Plan, manifest.get("plan"), where=f"{folder / MANIFEST}: plan")
    value = {"problem": manifest.get("problem"), **manifest["prediction"], "plan": plan_json(plan)}
    measurement = run_status(folder).measurement
    return value if measurement is None else {**value, "measurement": to_json(measurement)}


def _json(path: Path) -> Any:
    where = str(path)
    text = decoded(read_bytes(path, "file"), where, kind="JSON")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        hint = "Give what `crosszone predict --json` printed."
        raise SpecError.of(f"it is not JSON: {reason}.", where=where, hint=hint, code="unreadable") from None
