"""Rows on disk as they end, so that a sweep that was stopped goes on where it was."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from crosszone.core.sweep import Row
from crosszone.sweeps.cases import Case

SUFFIX = ".partial"


class Journal:
    """One JSON line for each finished case, beside the table that they become; a context manager.

    A line belongs to a case by its fingerprint and to the version that wrote it, so that rows of a changed job, of
    other variations or of another version are never taken.
    """

    def __init__(self, table: Path, version: str) -> None:
        self.path = table.with_name(table.name + SUFFIX)
        self._version = version
        self._file: IO[str] | None = None

    def finished(self) -> dict[str, Row]:
        """Rows by fingerprint that an earlier try left; a line that was cut off counts as not there."""
        if not self.path.exists():
            return {}
        found = {}
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entry: dict[str, Any] = json.loads(line)
            except ValueError:
                continue
            if entry.get("version") == self._version:
                found[entry["fingerprint"]] = entry["row"]
        return found

    def add(self, case: Case, row: Row) -> None:
        """Keep `row`; it is on disk when this returns."""
        assert self._file is not None, "the journal is not open"
        entry = {"version": self._version, "fingerprint": case.fingerprint, "row": row}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def delete(self) -> None:
        """The table is written: what is left over goes."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self._file = self.path.open("a", encoding="utf-8")
        if self._file.tell():
            self._file.write("\n")  # the last line may have been cut off; an empty one harms nothing
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._file is not None
        self._file.close()
