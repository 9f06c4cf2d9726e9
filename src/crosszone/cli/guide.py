"""The guide of `crosszone init` on a terminal, or with answers from options or a file. It renders and never decides."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosszone.cli import console
from crosszone.errors import CrossZoneError, SpecError, nearest_hint

if TYPE_CHECKING:
    from crosszone.core.answer import RankedPlan

BACK = "back"
MOST_CHOICES = 16
"""More legal values than these are told by their bounds alone."""
HINT = (
    "Answer with --answer KEY=VALUE, as often as there is something to say, or --answers FILE, one answer a line; what "
    "is not answered is as recommended."
)

Answered = Callable[[str], Any]


def guided_draft(*, base: Path, answers: Sequence[str], path: Path | None) -> Any:
    """The draft with every question answered: by options, by the lines of a file, or on the terminal.

    SpecError or InfeasiblePlan where an answer that nobody can be asked again is illegal, or nobody can be asked.
    """
    from crosszone import service

    given = _given(answers)
    lines = None if path is None else iter(_lines(path))
    is_asking = lines is None and sys.stdin.isatty() and sys.stderr.isatty()
    if not is_asking and lines is None and not given:
        raise SpecError.of("the guide asks on a terminal, and this is none.", code="no_terminal", hint=HINT)
    draft = service.guide(base=base)
    while (asked := service.guide_question(draft)) is not None:
        if asked.key in given:
            draft = _answered(draft, given[asked.key], f"--answer {asked.key}")
        elif lines is not None:
            draft = _answered(draft, _next_line(lines, asked.key), f"{path}, {asked.key}")
        elif is_asking:
            draft = _ask(draft, asked, is_pinned=bool(given))
        else:
            draft = _answered(draft, "", asked.key)
    return draft


def show_result(ranked: RankedPlan) -> None:
    """What the chosen plan is predicted to do."""
    from crosszone import units
    from crosszone.cli.show_prediction import degrees, plan_details

    prediction = ranked.prediction
    peak, capacity = (
        units.format_bytes(size) for size in (prediction.memory.peak_bytes, prediction.memory.capacity_bytes)
    )
    console.note(f"\nPlan: {degrees(ranked.plan)}; {plan_details(ranked.plan)}")
    console.note(
        f"Predicted: {units.format_seconds(prediction.step_seconds)} a step, MFU "
        f"{units.format_fraction(prediction.mfu)}, {peak} of {capacity}: {prediction.memory.verdict}; "
        f"{units.format_seconds(prediction.train_seconds)} in all."
    )


def _given(answers: Sequence[str]) -> dict[str, str]:
    """--answer options by key. SpecError with all that are not KEY=VALUE of a question."""
    from crosszone import service

    known = service.guide_keys()
    pairs = [(text, *text.partition("=")) for text in answers]
    listed = ", ".join(key for key in known if not key.startswith("nodes_") or key == "nodes_1")
    problems = [
        SpecError.of(
            f'"{text}" is not KEY=VALUE of a question.',
            where="--answer",
            hint=nearest_hint(key, known) or f"Keys are {listed}.",
        )
        for text, key, separator, _ in pairs
        if not separator or key.strip() not in known
    ]
    if problems:
        raise SpecError(*(finding for problem in problems for finding in problem.findings))
    return {key.strip(): value for _, key, _, value in pairs}


def _lines(path: Path) -> list[str]:
    if str(path) == console.STDIN:
        return sys.stdin.read().splitlines()
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SpecError.unreadable("file of answers", str(path), error) from None
    except UnicodeDecodeError:
        raise SpecError.of("it is not UTF-8 text.", where=str(path), hint="Save it as UTF-8.") from None


def _next_line(lines: Any, key: str) -> str:
    line = next(lines, None)
    if line is None:
        hint = "Add a line for it, and for each that follows; an empty line is what is recommended."
        raise SpecError.of(f"there is no line for {key}.", where="--answers", code="unfinished", hint=hint)
    return str(line)


def _answered(draft: Any, text: str, where: str) -> Any:
    """The draft with an answer that cannot be asked again."""
    from dataclasses import replace

    from crosszone import service

    try:
        return service.guide_answered(draft, text)
    except CrossZoneError as error:
        raise type(error)(*(replace(finding, where=where) for finding in error.findings)) from None


def _ask(draft: Any, asked: Any, *, is_pinned: bool) -> Any:
    """The draft after one question, asked until the answer is legal."""
    from crosszone import service

    for line in _question_lines(asked):
        console.note(line)
    while True:
        sys.stderr.write(f"  {asked.key} [{asked.default}]: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")
            raise CrossZoneError.of(
                f"the guide ended at {asked.key}; nothing was written.", code="unfinished", hint="Run it again."
            )
        if line.strip() == BACK:
            if draft.answers and not is_pinned:
                return service.guide_back(draft)
            console.note("  There is nothing to go back to.")
            continue
        try:
            return service.guide_answered(draft, line)
        except CrossZoneError as error:
            for finding in error.findings:
                console.note(f"  {finding.message} {finding.hint}".rstrip())


def _question_lines(asked: Any) -> list[str]:
    lines = [f"\n{asked.prompt}?", f"  Legal: {asked.bounds}."]
    if 0 < len(asked.choices) <= MOST_CHOICES:
        lines.append(f"  One of: {' | '.join(asked.choices)}")
    return [*lines, f"  Recommended: {asked.default}, {asked.reason}."]
