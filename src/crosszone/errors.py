"""Everything that CrossZone raises on purpose.

    CrossZoneError                 exit 1   something failed
    ├── SpecError                  exit 2   what a person wrote is wrong
    │   ├── UnknownName                     a name that no catalog, schedule or key has
    │   └── UnitError (ValueError)          a quantity without its unit, or in the wrong one
    ├── InfeasiblePlan             exit 3   legal, but it cannot work: it does not fit, or nothing can express it
    ├── PreflightFailed            exit 4   what the work needs is not on this machine
    ├── Conflict                   exit 1   what is stored stands against it
    │   ├── Stale                           it was changed since the asker looked
    │   └── Busy                            others are at it; the same may work later
    └── NotThere                   exit 1   nothing is stored under that name

An error carries every problem that was found, one `Finding` each, so that a person mends a file once and not once
per problem. `to_dict()` is what `--json` prints; `str()` is what a terminal shows.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

LISTED_KINDS = ("gpu", "model", "region", "framework")
"""Kinds of names that `crosszone catalog` lists."""
NEAREST_CUTOFF = 0.6  # difflib's own default: below it the suggestions look random
NEAREST_WORD_CUTOFF = 0.8  # of a first word alone: one letter of four may be missing, or one too many


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem: a row of the JSON `{"errors": [...]}`."""

    code: str
    """What kind of problem, in snake_case, for programs: `no_unit`, `unknown_key`."""
    message: str
    """What is wrong, with the numbers that conflict; one sentence that ends with a full stop."""
    where: str = ""
    """The place in the file or command, as `cluster.zones[1].nodes[0].gpu`; empty where there is none."""
    hint: str = ""
    """What to do about it; one sentence, or empty."""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message} {self.hint}".rstrip()


class CrossZoneError(Exception):
    """Base of the tree. Raise it with findings, or build one with `of`."""

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "failed"

    def __init__(self, *findings: Finding) -> None:
        assert findings, "an error without a finding tells nobody anything"
        # The findings are the exception's `args`, so that it survives pickling to another process.
        super().__init__(*findings)

    @classmethod
    def of(cls, message: str, *, where: str = "", hint: str = "", code: str = "") -> Self:
        """An error with one finding; `code` is the class's own unless given."""
        return cls(Finding(code=code or cls.default_code, message=message, where=where, hint=hint))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All problems, in the order they were found."""
        return self.args

    def to_dict(self) -> dict[str, Any]:
        """The JSON that every command prints with `--json`: `{"errors": [{"code", "message", "where", "hint"}]}`."""
        return {"errors": [asdict(finding) for finding in self.findings]}

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


class SpecError(CrossZoneError):
    """What a person wrote is wrong: a job file, a table, an option."""

    exit_code = 2
    default_code = "invalid"

    @classmethod
    def unreadable(cls, what: str, where: str, error: OSError) -> Self:
        """The error for a file that cannot be opened; `what` says what it should have been, as "job file"."""
        hints = {
            FileNotFoundError: "Check the path; it is relative to where the program runs.",
            IsADirectoryError: "Name a file in it.",
            PermissionError: "Ask its owner for the right to read it, or name another file.",
        }
        hint = hints.get(type(error), "Name another file.")
        return cls.of(f"cannot read the {what}: {error.strerror or error}.", where=where, hint=hint, code="unreadable")


class UnknownName(SpecError):
    """A name that nothing has."""

    default_code = "unknown_name"

    @classmethod
    def among(cls, name: str, choices: Iterable[str], *, kind: str, where: str = "") -> Self:
        """The error for `name`, which is none of `choices`; `kind` says what it should have been, as "gpu"."""
        hint = nearest_hint(name, choices)
        if kind in LISTED_KINDS:
            hint = f"{hint} `crosszone catalog {kind}s` lists all.".lstrip()
        return cls.of(f'unknown {kind} "{name}".', where=where, hint=hint)


class UnitError(SpecError, ValueError):
    """A quantity that `units` cannot read. A ValueError too, so that validators that expect one collect it."""

    default_code = "bad_quantity"


class InfeasiblePlan(CrossZoneError):
    """Legal input that cannot work: nothing fits in memory, or no allowed framework or backend can express it."""

    exit_code = 3
    default_code = "infeasible"


class PreflightFailed(CrossZoneError):
    """What the work needs is not there: a GPU, a package, a program, a way to another machine."""

    exit_code = 4
    default_code = "preflight"


class Conflict(CrossZoneError):
    """What is stored stands against what was asked: a name that is taken, a state that does not follow."""

    default_code = "conflict"


class Stale(Conflict):
    """What was to be changed is no longer what the asker saw."""

    default_code = "stale"


class Busy(Conflict):
    """Others are at it for longer than one waits."""

    default_code = "busy"


class NotThere(CrossZoneError):
    """Nothing is stored under that name."""

    default_code = "not_there"


def nearest(name: str, choices: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """The choices that a person who wrote `name` may have meant, best first, at most `limit`.

    Similar spellings come first (difflib), then the choices that contain `name`, so that "a100" finds
    "a100-sxm4-80gb", then those that begin with a word like it, so that "a100x" does. Case does not matter.
    """
    by_folded = {choice.casefold(): choice for choice in sorted(choices, reverse=True)}
    wanted = name.casefold()
    similar = difflib.get_close_matches(wanted, by_folded, n=limit, cutoff=NEAREST_CUTOFF)
    containing = sorted(folded for folded in by_folded if wanted and wanted in folded)
    words = {folded.partition("-")[0] for folded in by_folded if "-" in folded}
    word = difflib.get_close_matches(wanted, words, n=1, cutoff=NEAREST_WORD_CUTOFF)
    beginning = sorted(folded for folded in by_folded if folded.partition("-")[0] in word)
    return tuple(by_folded[folded] for folded in dict.fromkeys([*similar, *containing, *beginning]))[:limit]


def nearest_hint(name: str, choices: Iterable[str], *, max_listed: int = 8) -> str:
    """The sentence that follows "unknown name": the nearest names, or all of them where they are few."""
    known = sorted(set(choices))
    close = nearest(name, known)
    if close:
        return f"Did you mean {_alternatives(close)}?"
    if known and len(known) <= max_listed:
        return f"Write {_alternatives(known)}."
    return ""


def _alternatives(names: Iterable[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
