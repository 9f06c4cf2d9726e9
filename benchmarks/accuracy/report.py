"""Errors by source over all published runs, and the ledger of errors that intervals are drawn from.

    python benchmarks/accuracy/report.py            print the report
    python benchmarks/accuracy/report.py --write    keep it in report.md, its headline in both READMEs, and in the
                                                    catalog the ledger and what the server shows of it

The runs are in data/, what was fitted on what in README.md.
"""

import datetime
import json
import math
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import geo
from causes import causes, far_off
from residuals import (
    APART,
    Residuals,
    left_out_seconds,
    measured_seconds,
    prior,
    residuals,
    tables,
    timed_cases,
)

from crosszone.catalog.intervals import error_ledger
from crosszone.core.calibration import CalibrationPrior
from crosszone.core.closeness import ErrorLedger
from crosszone.core.codec import to_json
from crosszone.core.validation import QuantityScores, Score, ValidatedRow, Validation
from crosszone.verify.case import Case
from crosszone.verify.ledger import Residual, learn, ledger_toml
from crosszone.verify.measured import FITS, MEMORY, STEP
from crosszone.verify.score import quantity_scores
from crosszone.verify.validate import validate_table

ROOT = Path(__file__).parents[2]
REPORT = Path(__file__).with_name("report.md")
LEDGER = ROOT / "src/crosszone/catalog/data/intervals.toml"
SHIPPED = ROOT / "src/crosszone/catalog/data/accuracy.json"
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
BEGIN, END = "<!-- accuracy: begin -->", "<!-- accuracy: end -->"
COMMAND = "python benchmarks/accuracy/report.py --write"
LEAST_STUDIED_RUNS = 8
"""Of a GPU generation or framework, from which it counts as studied."""
SHIPPED_FIELDS = ("id", "source", "gpu", "framework", "measured", "predicted", "relative_error")
TITLES = {
    "aa": "Hagemann et al. 2023, layouts of 13B to 65B",
    "bloom": "BigScience, BLOOM sweeps of 2022",
    "fms": "IBM fms-fsdp",
    "foundry": "MosaicML llm-foundry",
    "mbridge": "NVIDIA Megatron-Bridge 25.09 to 26.08",
    "mcore": "Megatron-LM, memory in its tests",
    "mlm": "Megatron-LM, scaling table of 2024",
    "mlm2020": "Megatron-LM, scaling table of 2020",
    "nemo": "NVIDIA NeMo 24.x",
    "sailor": "Sailor 2025, memory",
    "sc21": "Narayanan et al. 2021 (SC21)",
    "tinyllama": "TinyLlama",
    "titan": "torchtitan",
    "usp": "Ultra-Scale Playbook",
    "vtrain": "vTrain 2024, one node",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Everything that the report is made of."""

    validation: Validation
    left_out: Mapping[str, float]
    """MAPE by source, predicted by constants fitted to the other sources; empty before fit.py has run."""
    one_run: Mapping[str, float]
    """MAPE by source after one own run, as shipped."""
    left_out_one_run: Mapping[str, float]
    """The same by constants fitted to the other sources."""
    left_out_best_constant: Mapping[str, float]
    """By them, times the one constant that serves the source's own runs best: what no calibration by one can better."""
    prior: CalibrationPrior
    causes: str
    """Markdown list."""
    ledger: ErrorLedger
    coverage: Mapping[str, tuple[int, int, float]]
    """By source: runs, runs inside their 90 % interval, mean half width; the ledger learnt without the source."""


def study(texts: Mapping[str, str], *, date: str) -> Study:
    """Predict and score the tables `texts` (name of the source to CSV), and learn the ledger from them."""
    validation = validated(texts)
    counted = {row.id for row in validation.rows if row.quantity == STEP and row.is_counted}
    cases = [case for case in timed_cases(texts.values()) if case.row.id in counted]
    scope = studied(cases, date=date)
    errors = residuals(cases, scope)
    left_out = _left_out_ratios(cases)
    return Study(
        validation=validation,
        left_out={source: _mape(ratios) for source, ratios in left_out.items()},
        left_out_best_constant={source: _least_mape(ratios) for source, ratios in left_out.items()},
        one_run=_mape_by_source(errors.one_run),
        left_out_one_run=_mape_by_source(errors.left_out_one_run),
        prior=prior(cases),
        causes=causes([row for row in validation.rows if row.quantity == STEP and row.is_counted], cases),
        ledger=_learnt(errors.all, scope),
        coverage=coverage(errors, scope),
    )


def validated(texts: Mapping[str, str]) -> Validation:
    """All tables as one."""
    found = [validate_table(text) for text in texts.values()]
    rows = tuple(row for each in found for row in each.rows)
    return Validation(
        rows=rows,
        skipped=tuple(row for each in found for row in each.skipped),
        quantities=quantity_scores(rows),
        num_table_rows=sum(each.num_table_rows for each in found),
    )


def studied(cases: Sequence[Case], *, date: str) -> ErrorLedger:
    """A ledger without errors: which GPU generations and frameworks enough of `cases` ran on."""
    generations: dict[str, int] = defaultdict(int)
    frameworks: dict[str, int] = defaultdict(int)
    for case in cases:
        generations[case.problem.cluster.zones[0].node_groups[0].gpu.generation] += 1
        if not any(text.startswith("framework ") for text in case.row.assumed):
            frameworks[case.framework.name.partition(" ")[0]] += 1
    kind = "left out of the fit" if left_out_seconds() else "predicted by the shipped constants"
    return ErrorLedger(
        levels=(),
        gpu_generations=_frequent(generations),
        frameworks=_frequent(frameworks),
        classes=(),
        source=f"{COMMAND}: published runs in benchmarks/accuracy/data, {kind}",
        date=date,
    )


def coverage(errors: Residuals, scope: ErrorLedger) -> dict[str, tuple[int, int, float]]:
    """By source: its runs, those inside the 90 % interval of a ledger learnt without that source, mean half width."""
    found = {}
    for source in sorted({each.source for each in errors.plain}):
        ledger = _learnt([each for each in errors.all if each.source != source], scope)
        own = [each for each in errors.plain if each.source == source]
        widths = [ledger.error_class(each.closeness).log_ratios[-1] for each in own]
        inside = sum(abs(each.log_ratio) <= width for each, width in zip(own, widths, strict=True))
        found[source] = (len(own), inside, statistics.fmean(map(math.sinh, widths)))
    return found


def headline(found: Study) -> str:
    """The table of the README."""
    scores = found.validation.quantities[STEP].by_source
    lines = [
        "| published runs | GPUs | runs | error | not fitted to it | after one own run | constant share of peak |",
        "| --- | --- | --: | --: | --: | --: | --: |",
    ]
    shown = sorted(scores, key=lambda name: (name in APART, -scores[name].num_rows))
    for name in shown:
        if scores[name].num_rows >= LEAST_STUDIED_RUNS:
            lines.append(_headline_row(found, name, scores[name]))
    means = _in_means(scores, shown)
    errors = (
        statistics.fmean(_number(scores[name].mape) for name in means),
        statistics.fmean(found.left_out[name] for name in means) if set(means) <= set(found.left_out) else None,
        statistics.fmean(found.left_out_one_run[name] for name in means),
        statistics.fmean(_number(scores[name].null_model_mape) for name in means),
    )
    count = sum(scores[name].num_rows for name in means)
    cells = " | ".join(f"**{_share(error)}**" for error in errors)
    return "\n".join([*lines, f"| **mean of the first {len(means)}** | | {count} | {cells} |"])


def report(found: Study, *, date: str) -> str:
    """The whole report, Markdown."""
    quantities = found.validation.quantities
    parts = [
        "# Accuracy",
        f"`{COMMAND}`, {date}. {found.validation.num_table_rows} rows, "
        f"{len(found.validation.skipped)} skipped. Errors are means of |predicted / measured − 1|.",
        "## Headline",
        f"{BEGIN}\n{headline(found)}\n{END}",
        "## Seconds per step",
        _steps(found),
        "### What is left, by cause",
        found.causes,
        "## 90 % intervals",
        _intervals(found),
        "## Peak memory",
        _memory(quantities[MEMORY]),
        far_off([row for row in found.validation.rows if row.quantity == MEMORY and row.is_counted]),
        "## Ran or out of memory",
        _fits(quantities[FITS], found.validation.rows),
        "## Across zones",
        geo.block(geo.section(geo.validations())),
        "## Skipped",
        "\n".join(f"- {row.id}: {row.reason}" for row in found.validation.skipped) or "None.",
    ]
    return "\n\n".join(parts) + "\n"


def accuracy_json(found: Study, *, date: str) -> str:
    """What the program ships of the report: scores and the timed runs that count, a line each."""
    scores = found.validation.quantities[STEP]
    rows = [row for row in found.validation.rows if row.quantity == STEP and row.is_counted]
    whole = {
        "schema_version": 1,
        "date": date,
        "command": COMMAND,
        "total": to_json(scores.total),
        "sources": [
            {"source": name, "title": TITLES[name], "left_out_mape": found.left_out.get(name), **to_json(score)}
            for name, score in sorted(scores.by_source.items(), key=lambda item: -item[1].num_rows)
        ],
        "gpus": [{"gpu": name, **to_json(score)} for name, score in scores.by_gpu.items()],
        "frameworks": [{"framework": name, **to_json(score)} for name, score in scores.by_framework.items()],
    }
    lines = ",\n".join(json.dumps({name: _shipped(row, name) for name in SHIPPED_FIELDS}) for row in rows)
    return f'{json.dumps(whole, ensure_ascii=False, indent=1).rstrip("}").rstrip()},\n "rows": [\n{lines}\n]}}\n'


def with_headline(text: str, table: str) -> str:
    """`text` with `table` between the markers."""
    return re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{table}\n{END}", text, flags=re.DOTALL)


def main() -> None:
    """Print the report; with --write keep it."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    texts = tables()
    found = study(texts, date=date)
    if "--write" in sys.argv[1:]:
        LEDGER.write_text(ledger_toml(found.ledger), encoding="utf-8")
        error_ledger.cache_clear()
        found = replace(found, validation=validated(texts))  # beside the ledger just written
        REPORT.write_text(report(found, date=date), encoding="utf-8")
        SHIPPED.write_text(accuracy_json(found, date=date), encoding="utf-8")
        for path in READMES:
            path.write_text(with_headline(path.read_text(encoding="utf-8"), headline(found)), encoding="utf-8")
    print(report(found, date=date))


def _shipped(row: ValidatedRow, name: str) -> Any:
    value = getattr(row, name)
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _headline_row(found: Study, name: str, score: Score) -> str:
    gpus = sorted({row.gpu.split("-")[0].upper() for row in found.validation.rows if row.source == name})
    errors = (score.mape, found.left_out.get(name), found.left_out_one_run.get(name), score.null_model_mape)
    return f"| {TITLES[name]} | {', '.join(gpus)} | {score.num_rows} | {' | '.join(map(_share, errors))} |"


def _steps(found: Study) -> str:
    scores = found.validation.quantities[STEP]
    lines = [
        "As shipped; *left out*: by constants fitted to the other sources; *one run*: either of them after one run of "
        "the source and GPU was learnt from, any of the half whose steps are most nearly all computing, tested on the "
        "others, with a prior learnt without the source; *null*: a constant share of peak; *regret*: measured loss of "
        "the plan predicted fastest, over groups of the same model, GPUs and batch.",
        "",
        _prior_text(found.prior),
        "",
        _best_constant_text(found),
        "",
        "| source | runs | error | median | bias | one run | left out | left out, one run | null | regret (groups) |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for name, score in [*scores.by_source.items(), *_means(scores)]:
        regret = f"{_share(score.regret)} ({score.num_groups})" if score.num_groups else "–"
        own = (found.one_run.get(name), found.left_out.get(name), found.left_out_one_run.get(name))
        numbers = (score.mape, score.median_ape, score.bias, *own, score.null_model_mape)
        lines.append(f"| {name} | {score.num_rows} | {' | '.join(map(_share, numbers))} | {regret} |")
    for title, by in (("GPU", scores.by_gpu), ("framework", scores.by_framework)):
        lines += ["", f"| {title} | runs | error | bias | null |", "| --- | --: | --: | --: | --: |"]
        for name, score in by.items():
            numbers = (score.mape, score.bias, score.null_model_mape)
            lines.append(f"| {name} | {score.num_rows} | {' | '.join(map(_share, numbers))} |")
    return "\n".join(lines)


def _in_means(scores: Mapping[str, Score], names: Iterable[str]) -> list[str]:
    return [name for name in names if name not in APART and scores[name].num_rows >= LEAST_STUDIED_RUNS]


def _best_constant_text(found: Study) -> str:
    names = _in_means(found.validation.quantities[STEP].by_source, found.left_out)
    if not names:
        return ""
    least = statistics.fmean(found.left_out_best_constant[name] for name in names)
    return (
        f"What one constant a source can do at best, fitted to the very runs that it is tested on: {_share(least)} "
        "left out, as the mean over the sources of the headline."
    )


def _prior_text(learnt: CalibrationPrior) -> str:
    return (
        f"Prior of all sources (`PRIOR` in verify/calibrate.py): spread {learnt.between_spread:.3f} between clusters, "
        f"{learnt.within_spread:.3f} within one; one run is believed by {learnt.believed_fraction(1):.2f}, ten by "
        f"{learnt.believed_fraction(10):.2f}."
    )


def _means(scores: QuantityScores) -> list[tuple[str, Score]]:
    return [("all rows", scores.total)]


def _intervals(found: Study) -> str:
    counts = found.coverage.values()
    num, inside = sum(count for count, _, _ in counts), sum(count for _, count, _ in counts)
    mean = statistics.fmean(inside / count for count, inside, _ in counts if count)
    lines = [
        f"Learnt without the source that is tested: {_share(inside / num)} of {num} runs lie in their 90 % interval, "
        f"{_share(mean)} as the mean over sources.",
        "",
        "| source | runs | inside | mean half width |",
        "| --- | --: | --: | --: |",
    ]
    lines += [
        f"| {name} | {count} | {_share(inside / count)} | {_share(width)} |"
        for name, (count, inside, width) in found.coverage.items()
    ]
    lines += [
        "",
        "As shipped, learnt from all sources:",
        "",
        "| knowledge | layout | 50 % | 90 % | runs | sources |",
        "| --- | --- | --- | --- | --: | --: |",
    ]
    for each in found.ledger.classes:
        ranges = " | ".join(f"÷ × {math.exp(ratio):.2f}" for ratio in each.log_ratios)
        count = f"{each.num_runs}{' (others stand in)' if each.is_stand_in else ''}"
        lines.append(
            f"| {each.closeness.knowledge} | {each.closeness.layout} | {ranges} | {count} | {each.num_sources} |"
        )
    return "\n".join(lines)


def _memory(scores: QuantityScores) -> str:
    lines = ["| source | rows | error | median | bias |", "| --- | --: | --: | --: | --: |"]
    for name, score in [*scores.by_source.items(), ("all rows", scores.total)]:
        numbers = (score.mape, score.median_ape, score.bias)
        lines.append(f"| {name} | {score.num_rows} | {' | '.join(map(_share, numbers))} |")
    return "\n".join(lines)


def _fits(scores: QuantityScores, rows: Iterable[ValidatedRow]) -> str:
    failed = [row for row in rows if row.quantity == FITS and row.is_counted and row.measured is False]
    lines = [
        f"{len(failed)} of {scores.total.num_rows} ran out of memory. Balanced accuracy: the mean of the shares of "
        "right answers among those that ran and those that did not; guessing has 50 %.",
        "",
        "| source | rows | balanced accuracy | ran: fits | ran: does not | failed: fits | failed: does not |",
        "| --- | --: | --: | --: | --: | --: | --: |",
    ]
    for name, score in [*scores.by_source.items(), ("all rows", scores.total)]:
        confusion = score.confusion
        assert confusion is not None
        counts = (confusion.ran_fits, confusion.ran_does_not_fit, confusion.failed_fits, confusion.failed_does_not_fit)
        cells = " | ".join(map(str, counts))
        lines.append(f"| {name} | {score.num_rows} | {_share(score.balanced_accuracy)} | {cells} |")
    return "\n".join(lines)


def _learnt(residuals: Sequence[Residual], scope: ErrorLedger) -> ErrorLedger:
    return learn(
        residuals,
        gpu_generations=scope.gpu_generations,
        frameworks=scope.frameworks,
        source=scope.source,
        date=scope.date,
    )


def _left_out_ratios(cases: Sequence[Case]) -> dict[str, list[float]]:
    """By source: predicted over measured of each of its runs, by constants fitted to the other sources."""
    known = left_out_seconds()
    ratios: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        if case.row.id in known:
            ratios[case.row.source].append(known[case.row.id] / measured_seconds(case))
    return dict(ratios)


def _mape(ratios: Iterable[float]) -> float:
    return statistics.fmean(abs(ratio - 1.0) for ratio in ratios)


def _least_mape(ratios: Sequence[float]) -> float:
    """After the one constant that serves these very runs best; the least is where it makes one of them exact."""
    return min(_mape(ratio / exact for ratio in ratios) for exact in ratios)


def _mape_by_source(residuals: Iterable[Residual]) -> dict[str, float]:
    errors: dict[str, list[float]] = defaultdict(list)
    for residual in residuals:
        errors[residual.source].append(abs(math.expm1(-residual.log_ratio)))
    return {source: statistics.fmean(found) for source, found in errors.items()}


def _frequent(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(name for name, count in counts.items() if count >= LEAST_STUDIED_RUNS))


def _number(value: float | None) -> float:
    assert value is not None
    return value


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100.0 * value:.1f} %"


if __name__ == "__main__":
    main()
