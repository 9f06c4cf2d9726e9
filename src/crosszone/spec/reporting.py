"""Collects what is wrong, assumed or worth a word while a job file is read, each with its place and line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from crosszone import units
from crosszone.core.problem import Notice
from crosszone.errors import Finding, SpecError
from crosszone.spec.yaml_source import Path, place

DOUBTFUL_BYTES_PER_SECOND = 1.25e5
"""1 Mbit/s: nobody trains over less."""


@dataclass(slots=True)
class Report:
    """Grows while one file is read."""

    lines: Mapping[Path, int]
    lost: set[Path] = field(default_factory=set)
    """Where something was written that could not be read. What merely follows from that is not reported again."""
    found: list[tuple[int, Finding]] = field(default_factory=list)
    """(line, error), in the order in which they were found."""
    assumed: dict[Notice, None] = field(default_factory=dict)
    """In the order of first mention; a dict, so that what many links share is told once and found fast."""
    warnings: list[Notice] = field(default_factory=list)

    def refuse(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note an error, unless what stands at `path` could not be read: that is told already."""
        if not self.has_lost(path):
            self.add(path, Finding(code=code, message=message, hint=hint))

    def refuse_once(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """As `refuse`, but only the first error of this code at this place: one link stands for two directions."""
        if not any(finding.code == code and finding.where == place(path) for _, finding in self.found):
            self.refuse(path, code, message, hint)

    def absorb(self, path: Path, error: SpecError) -> None:
        """Note the errors of something that was read at `path`."""
        for finding in error.findings:
            # The place in the job file leads to the file that it names.
            message = f"{finding.where}: {finding.message}" if finding.where else finding.message
            self.add(path, replace(finding, message=message))

    def add(self, path: Path, finding: Finding) -> None:
        """Note an error that was found without its place."""
        line = self.line(path)
        message = f"line {line}: {finding.message}" if line is not None else finding.message
        located = Finding(code=finding.code, message=message, where=place(path), hint=finding.hint)
        self.found.append((line or 0, located))

    def assume(self, path: Path, message: str) -> None:
        """Note a value that nobody stated."""
        self.assumed.setdefault(Notice(where=place(path), message=message))

    def warn(self, path: Path, message: str) -> None:
        """Note something that a person should know."""
        notice = Notice(where=place(path), message=message)
        if notice not in self.warnings:
            self.warnings.append(notice)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All errors by line, and as they were found where lines are the same or not known."""
        return tuple(finding for _, finding in sorted(self.found, key=lambda pair: pair[0]))

    def doubt_rate(self, path: Path, bytes_per_second: float | None) -> None:
        """Warn where a rate is so low that a unit was probably slipped."""
        if bytes_per_second is not None and bytes_per_second < DOUBTFUL_BYTES_PER_SECOND:
            rate, least = (units.format_bytes_per_second(one) for one in (bytes_per_second, DOUBTFUL_BYTES_PER_SECOND))
            self.warn(path, f"{path[-1]} is {rate}, less than {least}: is this right?")

    def has_refused(self, path: Path) -> bool:
        """Whether an error was found at or below `path`."""
        where = place(path)
        return any(
            finding.where == where or finding.where.startswith((f"{where}.", f"{where}[")) for _, finding in self.found
        )

    def has_lost(self, *paths: Path) -> bool:
        """Whether what stands at one of `paths`, or something around it, could not be read."""
        return any(path[: len(lost)] == lost for path in paths for lost in self.lost)

    def has_lost_below(self, path: Path) -> bool:
        """Whether something at or below `path` could not be read."""
        return any(lost[: len(path)] == path for lost in self.lost)

    def line(self, path: Path) -> int | None:
        """Line of `path`, or of the nearest value around it; None where the values did not come from text."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None
