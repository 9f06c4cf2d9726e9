"""What is left of the errors, by cause: a few lines for the report."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

from residuals import measured_seconds

from crosszone.core.validation import ValidatedRow
from crosszone.verify.case import Case
from crosszone.verify.score import regrets

SLOWER = 2.0
"""Times as long for each token and GPU as the like: a run that is not to be repeated."""
FAR = 0.5
"""Error beyond which a run counts as far off."""
LEAST_ODD_FRACTION = 0.02
"""Of a source's runs, from which those unlike their like are worth a line."""
LEAST_ADDED_FRACTION = 0.003
"""What far-off runs must add to a source's error to be worth one."""
LOST = 0.05
"""Regret of a group beyond which the choice made in it counts as a bad one."""


def causes(rows: Sequence[ValidatedRow], cases: Iterable[Case]) -> str:
    """Markdown: what far-off runs, and runs unlike their like, add to each source's error and regret."""
    odd = unlike_their_like(cases)
    lines = []
    for source in sorted({row.source for row in rows}):
        own = [row for row in rows if row.source == source]
        lines += [
            line for line in (_far_line(source, own), _odd_line(source, own, odd), _regret_line(source, own)) if line
        ]
    return "\n".join(lines) or "None."


def far_off(rows: Sequence[ValidatedRow]) -> str:
    """Markdown: what far-off rows add to each source's error."""
    sources = sorted({row.source for row in rows})
    lines = [_far_line(source, [row for row in rows if row.source == source]) for source in sources]
    return "\n".join(line for line in lines if line)


def unlike_their_like(cases: Iterable[Case]) -> set[str]:
    """Runs that took `SLOWER` times as long a token and GPU as another of the same layout, by measured seconds alone.

    The same layout: all but dp and sharding; on the same, half or double the number of GPUs. A smaller share of the
    batch on twice the GPUs cannot halve what a GPU does: one of the two had a fault.
    """
    rates: dict[tuple[object, ...], list[tuple[int, float, str]]] = defaultdict(list)
    for case in cases:
        plan, workload = case.plan, case.problem.workload
        tokens = workload.global_batch_size * workload.sequence_length
        degrees = (plan.tp, plan.pp, plan.cp, plan.ep, plan.num_virtual_stages, plan.microbatch_size)
        modes = (plan.sequence_parallel, plan.recompute, workload.attention, workload.dtypes, case.framework.name)
        key = (case.row.source, case.problem.model, *degrees, *modes, tokens)
        rates[key].append((plan.world_size, tokens / measured_seconds(case) / plan.world_size, case.row.id))
    return {
        row
        for members in rates.values()
        for size, rate, row in members
        if any(other > SLOWER * rate for near, other, _ in members if 0.5 <= near / size <= 2.0)
    }


def _far_line(source: str, rows: Sequence[ValidatedRow]) -> str:
    far = [abs(row.relative_error or 0.0) for row in rows if abs(row.relative_error or 0.0) > FAR]
    added = sum(far) / len(rows)
    if added < LEAST_ADDED_FRACTION:
        return ""
    return f"- {source}: {len(far)} of {len(rows)} runs, off by more than {FAR:.0%}, add {added:.1%} to the error."


def _odd_line(source: str, rows: Sequence[ValidatedRow], odd: set[str]) -> str:
    kept = [row for row in rows if row.id not in odd]
    num_odd, lost = len(rows) - len(kept), regrets(kept)
    if num_odd < LEAST_ODD_FRACTION * len(rows) or not lost:
        return ""
    error = statistics.fmean(abs(row.relative_error or 0.0) for row in kept)
    return (
        f"- {source}: {num_odd} runs took more than {SLOWER:g} times as long for each token and GPU as the same layout "
        f"did elsewhere; without them the error is {error:.1%}, the regret {statistics.fmean(lost):.1%} ({len(lost)})."
    )


def _regret_line(source: str, rows: Sequence[ValidatedRow]) -> str:
    lost = sorted(regrets(rows), reverse=True)
    num_bad = sum(each > LOST for each in lost)
    if not 0 < num_bad < len(lost):
        return ""
    return (
        f"- {source}: in {num_bad} of {len(lost)} groups the layout predicted best was measured more than {LOST:.0%} "
        f"slower than the best ({', '.join(f'{each:.0%}' for each in lost[:num_bad])}); "
        f"in the others it loses {statistics.fmean(lost[num_bad:]):.1%} on average."
    )
