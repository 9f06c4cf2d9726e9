"""Scores of predicted against measured: MAPE, bias, regret, balanced accuracy, by source, GPU, framework and family."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from crosszone.core.validation import Confusion, QuantityScores, Score, ValidatedRow
from crosszone.verify.measured import FITS, MEMORY, STEP

LEAST_PER_GROUP = 3
"""Plans in a group from which regret says something: among fewer there is little to choose."""


def quantity_scores(rows: Sequence[ValidatedRow]) -> dict[str, QuantityScores]:
    """Scores of each quantity that was measured, over the rows that count."""
    found = {}
    for quantity in (STEP, MEMORY, FITS):
        counted = [row for row in rows if row.quantity == quantity and row.is_counted]
        if counted:
            found[quantity] = scores(counted)
    return found


def middle_of_repeats(rows: Sequence[tuple[str, str, float]]) -> set[int]:
    """Indices of the rows that stand for all repeats of a configuration: the one whose value is the (lower) median.

    `rows` are (group of repeats, quantity, measured); an empty group is a row of its own.
    """
    repeats: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (group, quantity, _) in enumerate(rows):
        repeats[(group, quantity) if group else (f"\0{index}", quantity)].append(index)
    middle = set()
    for members in repeats.values():
        ordered = sorted(members, key=lambda index: (rows[index][2], index))
        middle.add(ordered[(len(ordered) - 1) // 2])
    return middle


def regrets(rows: Iterable[ValidatedRow]) -> list[float]:
    """Of each group of at least `LEAST_PER_GROUP` plans: what choosing the predicted best loses over the best.

    A plan that was run several times is one choice, and takes the median of its runs: nobody can choose the luckiest.
    Where several plans are predicted alike, the slowest of them counts.
    """
    groups: dict[str, dict[str, list[ValidatedRow]]] = defaultdict(lambda: defaultdict(list))
    for index, row in enumerate(rows):
        groups[row.group][row.layout or f"\0{index}"].append(row)
    found = []
    for plans in groups.values():
        choices = [(runs[0].predicted, statistics.median(run.measured for run in runs)) for runs in plans.values()]
        if len(choices) >= LEAST_PER_GROUP:
            _, chosen = min(choices, key=lambda choice: (choice[0], -choice[1]))
            found.append(chosen / min(measured for _, measured in choices) - 1.0)
    return found


def scores(rows: Sequence[ValidatedRow]) -> QuantityScores:
    """Scores of rows of one quantity, one or more."""
    by_source = _by(rows, lambda row: row.source)
    errors = [error for score in by_source.values() if (error := source_error(score)) is not None]
    return QuantityScores(
        total=_score(rows),
        source_mape=statistics.fmean(errors) if errors else None,
        by_source=by_source,
        by_gpu=_by(rows, lambda row: row.gpu),
        by_framework=_by(rows, lambda row: row.framework),
        by_family=_by(rows, lambda row: row.family),
    )


def source_error(score: Score) -> float | None:
    """What one source adds to the mean over sources: its MAPE, or the share of wrong verdicts, both classes alike."""
    if score.mape is not None:
        return score.mape
    return None if score.balanced_accuracy is None else 1.0 - score.balanced_accuracy


def _by(rows: Sequence[ValidatedRow], key: Callable[[ValidatedRow], str]) -> dict[str, Score]:
    groups: dict[str, list[ValidatedRow]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return {name: _score(groups[name]) for name in sorted(groups, key=lambda name: (-len(groups[name]), name))}


def _score(rows: Sequence[ValidatedRow]) -> Score:
    errors = [row.relative_error for row in rows if row.relative_error is not None]
    sizes = [abs(error) for error in errors]
    null = [row.null_model_seconds / row.measured - 1.0 for row in rows if row.null_model_seconds is not None]
    lost = regrets(rows) if rows[0].quantity == STEP else []
    confusion = _confusion(rows) if rows[0].quantity == FITS else None
    ranged = [row for row in rows if row.low_seconds is not None and row.high_seconds is not None]
    return Score(
        num_rows=len(rows),
        mape=statistics.fmean(sizes) if sizes else None,
        median_ape=statistics.median(sizes) if sizes else None,
        bias=statistics.fmean(errors) if errors else None,
        null_model_mape=statistics.fmean(map(abs, null)) if null else None,
        regret=statistics.fmean(lost) if lost else None,
        num_groups=len(lost),
        interval_coverage_fraction=statistics.fmean(map(_is_inside, ranged)) if ranged else None,
        interval_half_width_ratio=statistics.fmean(map(_half_width_ratio, ranged)) if ranged else None,
        balanced_accuracy=None if confusion is None else _balanced_accuracy(confusion),
        confusion=confusion,
    )


def _is_inside(row: ValidatedRow) -> bool:
    assert row.low_seconds is not None
    assert row.high_seconds is not None
    return row.low_seconds <= row.measured <= row.high_seconds


def _half_width_ratio(row: ValidatedRow) -> float:
    assert row.low_seconds is not None
    assert row.high_seconds is not None
    return (row.high_seconds - row.low_seconds) / 2.0 / row.predicted


def _confusion(rows: Sequence[ValidatedRow]) -> Confusion:
    def count(measured: bool, predicted: bool) -> int:
        return sum(row.measured is measured and row.predicted is predicted for row in rows)

    return Confusion(
        ran_fits=count(True, True),
        ran_does_not_fit=count(True, False),
        failed_fits=count(False, True),
        failed_does_not_fit=count(False, False),
    )


def _balanced_accuracy(confusion: Confusion) -> float | None:
    """Mean over the classes that there are of the share that was predicted right."""
    classes = (
        (confusion.ran_fits, confusion.ran_does_not_fit),
        (confusion.failed_does_not_fit, confusion.failed_fits),
    )
    shares = [right / (right + wrong) for right, wrong in classes if right + wrong]
    return math.fsum(shares) / len(shares) if shares else None
