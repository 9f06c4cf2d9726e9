"""What rules of good practice say of a plan, as people read it: what is not as it should be, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import RenderableType

from crosszone.cli.tables import bullets, heading, paragraph
from crosszone.core.check import VERDICTS, Check

PASS = VERDICTS[0]


def checks_view(checks: tuple[Check, ...], *, is_verbose: bool) -> Iterator[RenderableType]:
    """Warnings and failures; if verbose also what passed, and by whose word each rule stands."""
    if not checks:
        return
    yield heading("Checks")
    shown = [check for check in checks if is_verbose or check.verdict != PASS]
    if shown:
        yield bullets(check_line(check, is_verbose=is_verbose) for check in shown)
    yield paragraph(_summary(checks, is_verbose=is_verbose))


def check_line(check: Check, *, is_verbose: bool) -> str:
    """ "warn precision: fp16 ends at ... Compute in bf16. (--set workload.precision=bf16)"."""
    settings = " ".join(f"--set {_quoted(setting)}" for setting in check.settings)
    parts = [f"{check.verdict} {check.name}: {check.message}", check.fix, f"({settings})" if settings else ""]
    if is_verbose:
        parts.append(f"[{check.source}]")
    return " ".join(part for part in parts if part)


def _summary(checks: tuple[Check, ...], *, is_verbose: bool) -> str:
    counts = Counter(check.verdict for check in checks)
    parts = [f"{counts[verdict]} {verdict}" for verdict in reversed(VERDICTS) if counts[verdict]]
    more = " (--verbose shows them)" if counts[PASS] and not is_verbose else ""
    return f"{', '.join(parts)} of {len(checks)} rules{more}."


def _quoted(setting: str) -> str:
    """As a shell needs it."""
    return f"'{setting}'" if any(letter in setting for letter in " *[]<>|&;()") else setting
