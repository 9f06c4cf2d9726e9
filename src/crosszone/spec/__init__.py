"""What people write, read once: a job file in, a `core.problem.Problem` out, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crosszone.core.problem import Problem
from crosszone.errors import Finding, SpecError
from crosszone.spec.later import warn_of_later_keys
from crosszone.spec.override import override
from crosszone.spec.reporting import Report
from crosszone.spec.resolve import resolve
from crosszone.spec.schema import job_schema
from crosszone.spec.shape import read_shape
from crosszone.spec.yaml_source import MAX_BYTES, Source, place, read_mapping, read_yaml
from crosszone.spec.yaml_source import Path as Place

__all__ = ["JobFile", "job_schema", "open_job", "open_job_text", "read_job", "read_job_text"]

RESULTS = {
    frozenset({"problem", "plans"}): "an answer of `crosszone plan`",
    frozenset({"fingerprint", "step_seconds"}): "a prediction of `crosszone predict`",
    frozenset({"rows", "summary"}): "a comparison of `crosszone validate`",
}
"""What our own results are known by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """A job file before its keys are read: what single values may be set in."""

    source: Source
    base: Path | None
    """Folder to which a path to a model's config is relative; None: it may name no files."""

    def problem(self) -> Problem:
        """The problem that it states. SpecError with everything that is wrong."""
        return _read(self.source, self.base)

    def keys(self) -> dict[str, Any]:
        """Its keys, as they are written."""
        return self.source.value

    def text(self) -> str:
        """It as YAML: with the comments of the text that it was read from, where it was."""
        from crosszone.spec.job_text import write_job

        return write_job(self.source.value, like=self.source.text)

    def written_frameworks(self) -> list[tuple[str, str]]:
        """(place, name) of every framework that it names, whatever else is wrong with it."""
        framework, constraints = self.source.value.get("framework"), self.source.value.get("constraints")
        name = framework.get("name") if isinstance(framework, dict) else None
        names = constraints.get("frameworks") if isinstance(constraints, dict) else None
        listed = enumerate(names) if isinstance(names, list) else ()
        found = [("framework.name", name), *((f"constraints.frameworks[{index}]", each) for index, each in listed)]
        return [(where, each) for where, each in found if isinstance(each, str)]

    def with_settings(self, settings: Sequence[str]) -> tuple[JobFile, tuple[Place, ...]]:
        """The same with values set as `override` has it, and the places that were set.

        SpecError where a setting is no setting, with what the reader says of the values of the others.
        """
        source, places, findings = override(self.source, settings)
        changed = JobFile(source=source, base=self.base)
        if findings:
            raise SpecError(*findings, *changed._findings_at(places))
        return changed, places

    def _findings_at(self, places: Collection[Place]) -> list[Finding]:
        """What is wrong at these places; the rest of the file may contradict them, which is for the caller to mend."""
        try:
            self.problem()
        except SpecError as error:
            names = tuple(place(path) for path in places)
            return [one for one in error.findings if any(_is_within(one.where, name) for name in names)]
        return []

    def with_plan_keys(self, keys: Collection[str]) -> JobFile:
        """The same with only these keys of what it fixes of the plan."""
        written = self.source.value.get("plan")
        kept = {key: value for key, value in written.items() if key in keys} if isinstance(written, dict) else written
        return JobFile(source=replace(self.source, value={**self.source.value, "plan": kept}), base=self.base)


def open_job(source: str | Path | dict[str, Any], base: Path | None = None) -> JobFile:
    """The job file at a path, or a mapping with its keys; `base` as for `read_job`. SpecError where it is no YAML."""
    if isinstance(source, dict):
        return JobFile(source=read_mapping(source), base=base)
    path = Path(source)
    return open_job_text(_text(path), base if base is not None else path.parent)


def open_job_text(text: str, base: Path | None = None) -> JobFile:
    """The text of a job file; `base` as for `read_job`. SpecError where it is no YAML."""
    return JobFile(source=read_yaml(text), base=base)


def read_job(source: str | Path | dict[str, Any], base: Path | None = None) -> Problem:
    """The problem that a job file, or a mapping with its keys, states.

    `source` is the path of a file, or the mapping. A path to a model's `config.json` in it is relative to `base`: the
    file's own folder where `base` is None. A mapping without `base` may not name files.

    Raises SpecError with everything that is wrong, each with its place, and its line where there is a file.
    """
    return open_job(source, base).problem()


def read_job_text(text: str, base: Path | None = None) -> Problem:
    """The problem that the text of a job file states; `base` and errors as for `read_job`."""
    return open_job_text(text, base).problem()


def _is_within(where: str, name: str) -> bool:
    return where == name or where.startswith((f"{name}.", f"{name}["))


def _read(source: Source, base: Path | None) -> Problem:
    _refuse_results(source.value)
    report = Report(lines=source.lines)
    for path, (first, second) in source.duplicates.items():
        message = f'"{path[-1]}" is there twice, on line {first} and on line {second}.'
        report.refuse(path, "duplicate_key", message, "Delete one of them.")
    job = read_shape(source.value, report)
    problem = None
    if job is not None:
        warn_of_later_keys(source.value, report)
        problem = resolve(job, report, base)
    if report.findings:
        raise SpecError(*report.findings)
    assert problem is not None
    return problem


def _refuse_results(value: dict[str, Any]) -> None:
    """What the program printed is not what it reads: one sentence instead of an unknown key for each field."""
    for keys, what in RESULTS.items():
        if keys <= value.keys():
            hint = "Give the job file that it came from; to fix a plan, write its degrees there, under `plan`."
            raise SpecError.of(f"this is {what}, not a job file.", code="not_a_job", hint=hint)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise SpecError.unreadable("job file", str(path), error) from None
    except ValueError as error:  # no UTF-8, or a path that cannot be one
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        message, hint = f"cannot read the job file: {reason}.", "Save it as UTF-8, or name another file."
        raise SpecError.of(message, where=str(path), hint=hint, code="unreadable") from None
