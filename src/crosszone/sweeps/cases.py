"""What a sweep plans: every job file with every combination of the values that are varied."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosszone.core.calibration import Calibration
from crosszone.core.codec import to_json
from crosszone.errors import Finding, SpecError
from crosszone.spec import JobFile
from crosszone.spec.yaml_source import read_value

MOST_CASES = 1_000_000
EXAMPLE = 'Write KEY=V1,V2, as "links.*.bandwidth=1 Gbit/s,10 Gbit/s".'


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """One key of the job file and the values that it takes in turn."""

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One job to plan. It travels between processes, so that it holds plain values only."""

    index: int
    job: str
    """What the job file is called."""
    varied: tuple[tuple[str, Any], ...]
    """(key, value) of each variation."""
    value: dict[str, Any]
    """The job file with these values set."""
    base: str | None
    """Folder of the job file."""
    calibrations: tuple[Calibration, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Equal for cases that have the same answer; 64 hexadecimal digits."""
        parts = [self.job, self.varied, self.value, self.base, to_json(self.calibrations)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def variation(text: str) -> Variation:
    """`KEY=V1,V2` read; values are YAML, a list in brackets is one value. SpecError."""
    key, separator, values = text.partition("=")
    if not separator or not key.strip() or not values.strip():
        raise SpecError.of(f'"{text}" is not a key and its values.', where="--vary", hint=EXAMPLE)
    found = read_value(f"[{values}]")
    if len({json.dumps(each, sort_keys=True) for each in found}) < len(found):
        raise SpecError.of("a value is there twice.", where=f"--vary {key}", hint="Write each value once.")
    return Variation(key=key.strip(), values=tuple(found))


def cases(
    jobs: Sequence[tuple[str, JobFile]], variations: Sequence[Variation], calibrations: Sequence[Calibration] = ()
) -> tuple[Case, ...]:
    """Every combination for every job, the last variation fastest. SpecError with every key that a job lacks."""
    combinations = list(itertools.product(*([(each.key, value) for value in each.values] for each in variations)))
    if len(jobs) * len(combinations) > MOST_CASES:
        message = f"{len(jobs)} jobs times {len(combinations)} combinations are more than {MOST_CASES:,} cases."
        raise SpecError.of(message, where="--vary", hint="Vary fewer values, or sweep in parts.")
    findings: dict[tuple[str, str], Finding] = {}
    found: list[Case] = []
    for (name, file), combination in itertools.product(jobs, combinations):
        try:
            changed, _ = file.with_settings([f"{key}={_written(value)}" for key, value in combination])
        except SpecError as error:
            findings |= {(name, told.message): _of_job(told, name) for told in error.findings}
            continue
        found.append(
            Case(
                index=len(found),
                job=name,
                varied=combination,
                value=changed.source.value,
                base=None if file.base is None else str(file.base),
                calibrations=tuple(calibrations),
            )
        )
    if findings:
        raise SpecError(*findings.values())
    return tuple(found)


def case_file(case: Case) -> JobFile:
    """The job file of `case`."""
    from crosszone.spec import open_job

    return open_job(case.value, None if case.base is None else Path(case.base))


def _written(value: Any) -> str:
    """`value` as a setting has it; JSON is YAML, and text with a unit or a factor stands as it is."""
    return value if isinstance(value, str) else json.dumps(value)


def _of_job(finding: Finding, job: str) -> Finding:
    return Finding(code=finding.code, message=finding.message, where=f"{job}: {finding.where}", hint=finding.hint)
