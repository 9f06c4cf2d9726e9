"""The file of `calibrate`: calibrations to JSON text and back, and what a problem takes of them."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from crosszone.catalog.gpus import gpu_names
from crosszone.core.calibration import Calibration, MeasuredShares
from crosszone.core.codec import to_json
from crosszone.core.measured_gpu import MeasuredGpu
from crosszone.core.problem import Notice, Problem
from crosszone.errors import Finding, SpecError, nearest_hint
from crosszone.units import format_fraction
from crosszone.verify.calibrate import LEAST_RATIO, MOST_RATIO
from crosszone.verify.curves import BOUNDS, is_plausible

SCHEMA_VERSION = 1
WHERE = "calibration"


def calibrations_json(calibrations: Sequence[Calibration], measured: Sequence[MeasuredGpu] = ()) -> dict[str, Any]:
    """What the file holds: the calibrations, and the raw figures of GPUs that were timed for them."""
    figures = {"measured_gpus": [to_json(each) for each in measured]} if measured else {}
    return {"schema_version": SCHEMA_VERSION, "calibrations": [to_json(each) for each in calibrations], **figures}


def read_calibrations(text: str, *, where: str) -> tuple[Calibration, ...]:
    """The calibrations in `text`. Errors: SpecError with everything that is wrong; `where` is what to call the file."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise SpecError.of(f"this is not JSON: {error}.", where=where, hint=_HINT) from None
    if not isinstance(value, dict) or not isinstance(value.get("calibrations"), list) or not value["calibrations"]:
        raise SpecError.of('there is no list "calibrations".', where=where, hint=_HINT)
    if value.get("schema_version") != SCHEMA_VERSION:
        message = f"schema_version is {json.dumps(value.get('schema_version'))}; this program reads {SCHEMA_VERSION}."
        raise SpecError.of(message, where=where, hint="Learn it again: crosszone calibrate.")
    entries = value["calibrations"]
    findings = [found for index, entry in enumerate(entries) for found in _faults(entry, f"{where}[{index}]")]
    findings = findings or _repeats(entries, where)
    if findings:
        raise SpecError(*findings)
    return tuple(_calibration(entry) for entry in entries)


def apply(problem: Problem, calibrations: Sequence[Calibration]) -> Problem:
    """`problem`, to be predicted with the calibrations of its GPUs.

    What was used is among its assumptions; what is of other GPUs, or was learnt with another framework, among its
    warnings.
    """
    gpus = {group.gpu.name for zone in problem.cluster.zones for group in zone.node_groups}
    used = tuple(each for each in calibrations if each.gpu in gpus)
    warnings = [Notice(where=WHERE, message=unused_text(each)) for each in calibrations if each.gpu not in gpus]
    if problem.framework is not None:
        foreign = [each for each in used if each.frameworks and problem.framework not in each.frameworks]
        warnings += [Notice(where=WHERE, message=_foreign_text(each, problem.framework)) for each in foreign]
    if used and gpus - {each.gpu for each in used}:
        rest = ", ".join(sorted(gpus - {each.gpu for each in used}))
        warnings.append(Notice(where=WHERE, message=f"there is none of {rest}: predicted without."))
    return dataclasses.replace(
        problem,
        calibrations=used,
        assumed=(*problem.assumed, *(Notice(where=WHERE, message=used_text(each)) for each in used)),
        warnings=(*problem.warnings, *warnings),
    )


def used_text(calibration: Calibration) -> str:
    """What a prediction says of a calibration that it takes into account."""
    on_date = f" on {calibration.date}" if calibration.date else ""
    if calibration.efficiency is not None:
        shares = ", ".join(f"{name} {value:.4g}" for name, value in calibration.efficiency.known().items())
        return f"{calibration.gpu} has {shares}, not the catalog's shares: {calibration.source}{on_date}."
    runs = f"{calibration.num_runs} run{'s' if calibration.num_runs != 1 else ''}"
    return (
        f"{calibration.gpu} takes {calibration.compute_seconds_ratio:.3f} times as long as the catalog's shares say, "
        f"as {runs} of {calibration.source} showed{on_date}{_believed_text(calibration)}."
    )


def unused_text(calibration: Calibration) -> str:
    """What is said of one that no GPU of the problem needs."""
    return f"that of {calibration.gpu} is not used: no such GPU is here."


def _believed_text(calibration: Calibration) -> str:
    if calibration.believed_fraction == 1.0:
        return ""
    return f", believed by {format_fraction(calibration.believed_fraction)}"


_HINT = "Write one with: crosszone calibrate --from RUNS.csv -o FILE"
_KEYS = {field.name for field in dataclasses.fields(Calibration)}
_SHARES = {field.name for field in dataclasses.fields(MeasuredShares)}


def _faults(entry: Any, where: str) -> list[Finding]:
    if not isinstance(entry, dict):
        return [Finding(code="invalid", message="this is not a calibration.", where=where, hint=_HINT)]
    checks: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
        ("gpu", _is_text, "the catalog name of a GPU"),
        ("compute_seconds_ratio", _is_ratio, f"a number from {LEAST_RATIO:g} to {MOST_RATIO:g}"),
        ("num_runs", _is_count if entry.get("efficiency") is None else _is_count_or_zero, "a count of runs"),
        ("source", _is_text, "a text"),
    )
    findings = [
        Finding(
            code="invalid",
            message=f"{name} is {json.dumps(entry.get(name))}; it must be {wanted}.",
            where=where,
            hint=_HINT,
        )
        for name, is_right, wanted in checks
        if not is_right(entry.get(name))
    ]
    findings += _share_faults(entry.get("efficiency"), where)
    unknown = sorted(set(entry) - _KEYS)
    findings += [
        Finding(code="unknown_key", message=f'unknown key "{key}".', where=where, hint=nearest_hint(key, _KEYS))
        for key in unknown
    ]
    if isinstance(entry.get("gpu"), str) and entry["gpu"] not in gpu_names():
        message = f'the catalog has no GPU "{entry["gpu"]}".'
        hint = nearest_hint(entry["gpu"], gpu_names())
        findings.append(Finding(code="unknown_name", message=message, where=where, hint=hint))
    return findings


def _share_faults(value: Any, where: str) -> list[Finding]:
    if value is None:
        return []
    if not isinstance(value, dict):
        return [Finding(code="invalid", message="efficiency is not an object of shares.", where=where, hint=_HINT)]
    findings = [
        Finding(code="unknown_key", message=f'efficiency has no "{key}".', where=where, hint=nearest_hint(key, _SHARES))
        for key in sorted(set(value) - _SHARES)
    ]
    return findings + [
        Finding(
            code="invalid",
            message=f"efficiency.{name} is {json.dumps(share)}; it must be a number from {low:g} to {high:g}.",
            where=where,
            hint=_HINT,
        )
        for name, (low, high) in BOUNDS.items()
        if (share := value.get(name)) is not None and not (_is_number(share) and is_plausible(name, share))
    ]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_count_or_zero(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_ratio(value: Any) -> bool:
    return _is_number(value) and LEAST_RATIO <= value <= MOST_RATIO


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _repeats(entries: Sequence[dict[str, Any]], where: str) -> list[Finding]:
    names = [entry["gpu"] for entry in entries]
    return [
        Finding(code="invalid", message=f"{name} is there {names.count(name)} times.", where=where, hint=_HINT)
        for name in sorted({name for name in names if names.count(name) > 1})
    ]


def _calibration(entry: dict[str, Any]) -> Calibration:
    return Calibration(
        gpu=entry["gpu"],
        compute_seconds_ratio=float(entry["compute_seconds_ratio"]),
        num_runs=entry["num_runs"],
        source=entry["source"],
        date=str(entry.get("date") or ""),
        frameworks=tuple(map(str, entry.get("frameworks") or ())),
        spread_fraction=entry.get("spread_fraction"),
        believed_fraction=float(entry.get("believed_fraction", 1.0)),
        efficiency=None if entry.get("efficiency") is None else _shares(entry["efficiency"]),
    )


def _shares(value: dict[str, Any]) -> MeasuredShares:
    return MeasuredShares(**{name: None if share is None else float(share) for name, share in value.items()})


def _foreign_text(calibration: Calibration, framework: str) -> str:
    names = ", ".join(calibration.frameworks)
    return f"that of {calibration.gpu} was learnt with {names}; the job names {framework}."
