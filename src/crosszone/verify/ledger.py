"""How far measured runs lie from their predictions, by how near each is to what was studied: learning the ledger."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crosszone.core.closeness import KNOWLEDGE, LAYOUTS, Closeness, ErrorClass, ErrorLedger

LEVELS = (0.5, 0.9)
LEAST_RUNS, LEAST_SOURCES = 20, 2
"""Below either, a class has too little of its own."""
MAX_LOG_RATIO = math.log(3.0)
"""No range is wider than a factor of 3 each way. Larger errors are those of layouts that nobody would choose (pipelines
of 128, tensor parallelism of 32 over a network), run by an unknown framework; they would tell of no other plan."""
NEARER = {
    "new_framework": ("studied",),
    "new_gpu": ("studied",),
    "new_gpu_and_framework": ("studied", "new_framework", "new_gpu"),
}
"""What must not be wider than the key: to know less never narrows a range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """One run, predicted by constants that were not fitted to it."""

    source: str
    closeness: Closeness
    log_ratio: float
    """log(measured / predicted)"""


def learn(
    residuals: Sequence[Residual], *, gpu_generations: tuple[str, ...], frameworks: tuple[str, ...],
    source: str, date: str,
) -> ErrorLedger:  # fmt: skip
    """The ledger of `residuals`: per class the quantiles of |log ratio|.

    A class with few runs takes those of all layouts of its knowledge. Across zones there is no run: the widest layout
    of the same knowledge stands in. Errors: ValueError where one kind of knowledge has no run at all.
    """
    found: dict[tuple[str, str], ErrorClass] = {}
    for knowledge in KNOWLEDGE:
        for layout in LAYOUTS[:-1]:
            own = _class(residuals, knowledge, layout)
            nearer = [found[name, layout].log_ratios for name in NEARER.get(knowledge, ())]
            found[knowledge, layout] = _widened(own, nearer)
        known = [found[knowledge, layout].log_ratios for layout in LAYOUTS[:-1]]
        found[knowledge, LAYOUTS[-1]] = ErrorClass(
            closeness=Closeness(knowledge=knowledge, layout=LAYOUTS[-1]),
            log_ratios=tuple(map(max, zip(*known, strict=True))),
            num_runs=0,
            num_sources=0,
            is_stand_in=True,
        )
    return ErrorLedger(
        levels=LEVELS,
        gpu_generations=gpu_generations,
        frameworks=frameworks,
        classes=tuple(found.values()),
        source=source,
        date=date,
    )


def quantiles(residuals: Iterable[Residual], levels: Sequence[float] = LEVELS) -> tuple[float, ...]:
    """Of |log ratio|: the least value that the share `level` of the weight does not exceed.

    A source weighs as the square root of its runs: a thousand runs of one figure are neither one opinion nor a
    thousand.
    """
    by_source: dict[str, list[float]] = defaultdict(list)
    for residual in residuals:
        by_source[residual.source].append(abs(residual.log_ratio))
    weighted = sorted((size, 1.0 / math.sqrt(len(sizes))) for sizes in by_source.values() for size in sizes)
    total = sum(weight for _, weight in weighted)
    if not total > 0.0:
        raise ValueError("no run to learn a range from")
    return tuple(_quantile(weighted, level * total) for level in levels)


def ledger_toml(ledger: ErrorLedger) -> str:
    """The text of `catalog/data/intervals.toml`."""
    head = [
        "# How far measured steps lie from predicted ones, by how near the plan is to the runs that were studied.",
        "# Written by `python benchmarks/accuracy/report.py --write`; docs/decisions/0005-intervals.md says how.",
        "#",
        "#   log_ratios   per level: the |log(measured / predicted)| that this share of the runs stays below",
        "#   num_runs     runs of this class, num_sources: published tables that they come from",
        "#   is_stand_in  too few of them: the runs of all layouts stand in; across zones, the widest layout",
        "",
        f"levels = {_list(ledger.levels)}",
        f"gpu_generations = {_list(ledger.gpu_generations)}",
        f"frameworks = {_list(ledger.frameworks)}",
        f'source = "{ledger.source}"',
        f'date = "{ledger.date}"',
    ]
    return "\n".join([*head, *(_class_toml(each) for each in ledger.classes)]) + "\n"


def _quantile(weighted: Sequence[tuple[float, float]], wanted: float) -> float:
    """The first of the sorted (size, weight) up to which the weights reach `wanted`."""
    below = 0.0
    for size, weight in weighted:
        below += weight
        if below >= wanted * (1.0 - 1e-12):
            return size
    return weighted[-1][0]


def _class(residuals: Sequence[Residual], knowledge: str, layout: str) -> ErrorClass:
    alike = [each for each in residuals if each.closeness.knowledge == knowledge]
    own = [each for each in alike if each.closeness.layout == layout]
    sources = {each.source for each in own}
    is_stand_in = len(own) < LEAST_RUNS or len(sources) < LEAST_SOURCES
    return ErrorClass(
        closeness=Closeness(knowledge=knowledge, layout=layout),
        log_ratios=tuple(min(ratio, MAX_LOG_RATIO) for ratio in quantiles(alike if is_stand_in else own)),
        num_runs=len(own),
        num_sources=len(sources),
        is_stand_in=is_stand_in,
    )


def _widened(own: ErrorClass, nearer: Sequence[tuple[float, ...]]) -> ErrorClass:
    ratios = tuple(map(max, zip(own.log_ratios, *nearer, strict=True)))
    return ErrorClass(
        closeness=own.closeness,
        log_ratios=ratios,
        num_runs=own.num_runs,
        num_sources=own.num_sources,
        is_stand_in=own.is_stand_in,
    )


def _class_toml(each: ErrorClass) -> str:
    return "\n".join(
        [
            "",
            "[[class]]",
            f'knowledge = "{each.closeness.knowledge}"',
            f'layout = "{each.closeness.layout}"',
            f"log_ratios = {_list(tuple(round(ratio, 4) for ratio in each.log_ratios))}",
            f"num_runs = {each.num_runs}",
            f"num_sources = {each.num_sources}",
            f"is_stand_in = {str(each.is_stand_in).lower()}",
        ]
    )


def _list(values: Sequence[float] | Sequence[str]) -> str:
    return "[" + ", ".join(f'"{value}"' if isinstance(value, str) else repr(value) for value in values) + "]"
