"""Fit the constants of the compute model to measured runs, and say how well they hold for sources that had no part.

    python benchmarks/accuracy/fit.py              fit, print constants and errors
    python benchmarks/accuracy/fit.py --write      and keep the left-out predictions in left_out.csv
    python benchmarks/accuracy/fit.py RUNS.csv     the same for other tables than those in data/

RUNS.csv has the columns that `crosszone validate` reads. Constants are those of catalog/data: `CONSTANTS` lists each
with a starting value from counts or data sheets and how far runs may take it from there. The residual is the logarithm
of predicted over measured seconds; every source weighs alike, whatever its number of runs; a weak prior holds each
constant to its start. The runs of SC21 (tests/golden/sc21.toml) and vTrain's have no part in any fit.

Errors are printed in sample, with the source left out, and with the source left out but one constant of its own, which
is what one measured run of one's own cluster buys. Sources that nothing else is like (`OWN`) are split inside by model.
"""

import csv
import dataclasses
import math
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from crosszone.catalog.efficiency import efficiency
from crosszone.core.cluster import Gpu
from crosszone.core.efficiency import Efficiency
from crosszone.core.framework import Framework
from crosszone.core.tables import Bools, Floats
from crosszone.errors import SpecError
from crosszone.verify.case import Case, case_of
from crosszone.verify.measured import STEP
from crosszone.verify.predicted import MAX_EVENTS, forecasts
from crosszone.verify.row import read_rows
from crosszone.verify.score import middle_of_repeats

DATA = Path(__file__).with_name("data")
LEFT_OUT = Path(__file__).with_name("left_out.csv")
FLASH_BACKWARD_RATIO = 1.27
"""Rate of a fused attention's forward over its backward (Dao 2023, fig. 4 to 6)."""
HELD_OUT = ("sc21", "vtrain", "tinyllama", "jzv100")
"""Sources that no constant is fitted to."""
OWN = {"usp": "nanotron-2025"}
"""Sources with a generation of a framework, on a network, that no other source has."""
ALIKE = {
    "aleph-2023-fused-norm": ("aleph-2023",),
    "rowwise-async-tp": ("rowwise", "async-tp"),
    "2024-async-tp": ("async-tp",),
}
"""Generations that share the constants of others."""
UNFIT = re.compile(r"micro_batch \d+: not stated|offload", re.IGNORECASE)
"""Runs that count in the errors but not in the fit: their microbatch is assumed, or they do what is not modelled."""
NOISE = 0.08
"""Spread of log residuals that the model leaves; residuals beyond it count less (soft L1)."""
OPINION, OWN_OPINION = 8.0, 40.0
"""Weight of a source against the priors: of one among others, and of one with constants of its own."""
FAULT = 0.5
"""Log residual beyond which a run of a source of its own is taken to be faulty, and counts in the errors alone: one run
in eight there takes 2 to 30 times as long as the same layout at another time."""
STEP_SIZE = 0.02
"""Of a logarithm, for derivatives."""
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One number of the catalog."""

    table: str
    """GPU generation, part, or framework generation; `any` GPU."""
    field: str
    start: float
    spread: float
    """Of its logarithm, that the prior allows."""

    @property
    def is_framework(self) -> bool:
        """It is a fact of a framework, not a share of a GPU's peak."""
        return self.field in Framework.__slots__


def _gpu(table: str, **starts: tuple[float, float]) -> list[Constant]:
    return [Constant(table=table, field=field, start=start, spread=spread) for field, (start, spread) in starts.items()]


CONSTANTS = (
    *_gpu("ampere", gemm_fraction=(0.77, 0.06), gemm_overhead_depth=(450.0, 0.4), attention_fraction=(0.52, 0.15)),
    *_gpu("ampere", flash1_factor=(0.65, 0.2), unfused_attention_fraction=(0.6, 0.3)),
    *_gpu("hopper", gemm_fraction=(0.65, 0.06), gemm_overhead_depth=(450.0, 0.4), attention_fraction=(0.40, 0.15)),
    *_gpu("hopper", fp8_gemm_fraction=(0.65, 0.06), flash1_factor=(0.5, 0.2), flash2_factor=(0.65, 0.2)),
    *_gpu("volta", gemm_fraction=(0.80, 0.1)),
    *_gpu("blackwell", gemm_fraction=(0.60, 0.1), fp8_gemm_fraction=(0.55, 0.1), fp4_gemm_fraction=(0.42, 0.15)),
    *_gpu("blackwell", attention_fraction=(0.45, 0.2)),
    *_gpu("blackwell-ultra", gemm_fraction=(0.70, 0.1), fp8_gemm_fraction=(0.65, 0.1), fp4_gemm_fraction=(0.40, 0.15)),
    *_gpu("any", fabric_fraction=(0.73, 0.1)),
    *_gpu("h100-sxm5-96gb-hbm2e", gemm_fraction=(0.58, 0.1)),
    *_gpu("aleph-2023", elementwise_factor=(1.6, 0.3), norm_traffic_bytes=(72.0, 0.4), agreement_factor=(1.9, 0.5)),
    *_gpu("2023-hopper", gemm_factor=(0.90, 0.1)),
    *_gpu("nemo-2024-fp8", gemm_factor=(0.95, 0.05)),
    *_gpu("rowwise", gemm_factor=(0.8, 0.2)),
    *_gpu("async-tp", tensor_parallel_overlap_fraction=(0.5, 0.3)),
)
"""Shares of a GPU and facts of a framework's generation that several runs tell apart."""

OWN_CONSTANTS = (
    *_gpu("nanotron-2025", launch_seconds=(0.0014, 0.3), elementwise_factor=(1.04, 0.15)),
    *_gpu("nanotron-2025", logit_traffic_bytes=(56.0, 0.3), tensor_parallel_step_seconds=(5e-5, 0.3)),
    *_gpu("nanotron-2025", receive_stall_seconds=(0.001, 0.3), bucket_seconds=(0.0007, 0.4)),
    *_gpu("nanotron-2025", late_message_seconds=(0.26, 0.2), agreement_factor=(1.7, 0.3)),
)
"""Facts of the generations in `OWN`, fitted to their source with all others fixed."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Measured runs, one for each configuration that was repeated."""

    cases: tuple[Case, ...]
    seconds: Floats
    source: np.ndarray  # type: ignore[type-arg]
    is_fit: Bools

    def take(self, rows: Bools) -> "Runs":
        """Some of them."""
        return Runs(
            tuple(case for case, keep in zip(self.cases, rows, strict=True) if keep),
            self.seconds[rows],
            self.source[rows],
            self.is_fit[rows],
        )


def read_runs(paths: Sequence[Path]) -> Runs:
    """Runs graded A or B (or not at all) that measured a step and can be expressed; the middle one of repeats."""
    found = []
    for row in (row for path in paths for row in read_rows(path.read_text(encoding="utf-8"))):
        if row.text("quality").upper() not in ("", "A", "B"):
            continue
        try:
            case = case_of(row)
        except SpecError:
            continue
        found += [(case, float(each.value)) for each in case.measured if each.quantity == STEP]
    kept = sorted(middle_of_repeats([(case.row.text("dup_group"), STEP, seconds) for case, seconds in found]))
    cases = tuple(found[index][0] for index in kept)
    return Runs(
        cases=cases,
        seconds=np.array([found[index][1] for index in kept]),
        source=np.array([case.row.source for case in cases]),
        is_fit=np.array([_is_fit(case) for case in cases]),
    )


def _is_fit(case: Case) -> bool:
    row, model = case.row, case.problem.model
    said = " ".join((*row.assumed, row.text("precision"), row.text("notes")))
    return row.source not in (*HELD_OUT, *OWN) and not model.num_experts and not UNFIT.search(said)


def predicted(runs: Runs, constants: Sequence[Constant], values: Floats, *, max_events: int = MAX_EVENTS) -> Floats:
    """Seconds of every run with these values of the constants in place of the catalog's."""
    changes = {(each.table, each.field): float(value) for each, value in zip(constants, values, strict=True)}
    cases = [_changed(case, changes) for case in runs.cases]
    found = forecasts(cases, shares=_shares(changes), max_events=max_events)
    return np.array([forecast.step_seconds for forecast in found])


def _changed(case: Case, changes: dict[tuple[str, str], float]) -> Case:
    words = case.framework.name.split()
    own = {field: value for (table, field), value in changes.items() if table in words}
    for name, like in ALIKE.items():
        if name in words:
            own |= {field: value for (table, field), value in changes.items() if table in like}
    if "aleph-2023-fused-norm" in words:
        own["norm_traffic_bytes"] = 0.0
    own = {field: value for field, value in own.items() if field in Framework.__slots__}
    return dataclasses.replace(case, framework=dataclasses.replace(case.framework, **own)) if own else case


def _shares(changes: dict[tuple[str, str], float]) -> Callable[[Gpu], Efficiency]:
    found: dict[str, Efficiency] = {}

    def shares(gpu: Gpu) -> Efficiency:
        if gpu.name not in found:
            known = efficiency(gpu)
            tables = ("any", known.generation, gpu.name)
            own = {field: value for at in tables for (table, field), value in changes.items() if table == at}
            own = {field: value for field, value in own.items() if field in Efficiency.__slots__}
            if gpu.name in {table for table, _ in changes}:  # a part with less power: all its shares follow
                lower = changes[gpu.name, "gemm_fraction"] / changes[known.generation, "gemm_fraction"]
                for field in ("fp8_gemm_fraction", "attention_fraction"):
                    own[field] = changes[known.generation, field] * lower
            if "attention_fraction" in own:
                own["attention_backward_fraction"] = own["attention_fraction"] / FLASH_BACKWARD_RATIO
            found[gpu.name] = dataclasses.replace(known, **own)
        return found[gpu.name]

    return shares


def fit(
    runs: Runs, constants: Sequence[Constant], left_out: Sequence[str] = (), around: "Line | None" = None
) -> Floats:
    """Values of the constants that the runs outside `left_out` ask for; with `around`, on that straight line alone."""
    line = around or linearized(runs, constants, np.array([each.start for each in constants]))
    for _ in range(1 if around else ROUNDS):
        shift = _solve(runs, constants, line, left_out)
        values = line.values * np.exp(shift)
        if around is None:
            line = linearized(runs, constants, values)
    return np.asarray(values)


@dataclass(frozen=True, slots=True)
class Line:
    """Log residuals near some values of the constants."""

    values: Floats
    residual: Floats
    slope: Floats
    """[run, constant]: change of the residual with the constant's logarithm."""


def linearized(runs: Runs, constants: Sequence[Constant], values: Floats) -> Line:
    """Residuals and their derivatives at `values`."""
    return _line(runs, constants, values, np.zeros(0))


def _line(runs: Runs, constants: Sequence[Constant], values: Floats, held: Floats) -> Line:
    """As `linearized`, in the first constants alone; the others are `held`. Slopes are those of the closed form."""

    def logarithm(values: Floats) -> Floats:
        return np.log(predicted(runs, constants, np.concatenate([values, held]), max_events=0))

    residual = np.log(predicted(runs, constants, np.concatenate([values, held])) / runs.seconds)
    base = logarithm(values)
    steps = math.exp(STEP_SIZE) * values
    moved = [np.where(np.arange(len(values)) == index, steps, values) for index in range(len(values))]
    return Line(values, residual, np.array([(logarithm(each) - base) / STEP_SIZE for each in moved]).T)


def _solve(
    runs: Runs, constants: Sequence[Constant], line: Line, left_out: Sequence[str], opinion: float = OPINION
) -> Floats:
    used = runs.is_fit & ~np.isin(runs.source, left_out)
    weight = np.zeros(len(used))
    for source in set(runs.source[used]):
        own = used & (runs.source == source)
        weight[own] = 1.0 / math.sqrt(own.sum())
    weight = weight[used] * opinion
    start = np.log(line.values / np.array([each.start for each in constants]))
    spread = np.array([each.spread for each in constants])

    def residuals(shift: Floats) -> Floats:
        misfit = (line.residual[used] + line.slope[used] @ shift) / NOISE
        robust = np.sign(misfit) * np.sqrt(2.0 * (np.sqrt(1.0 + misfit**2) - 1.0))
        return np.concatenate([weight * robust, (start + shift) / spread])

    return np.asarray(least_squares(residuals, np.zeros(len(constants))).x)


def mape(ratio: Floats) -> float:
    """Mean absolute error of predicted over measured."""
    return float(np.abs(ratio - 1.0).mean())


def main(arguments: Sequence[str]) -> None:
    """Fit, print, write."""
    paths = [Path(argument) for argument in arguments if not argument.startswith("--")]
    runs = read_runs(paths or sorted(DATA.glob("*.csv")))
    left_out = runs.seconds * np.nan
    others = runs.take(~np.isin(runs.source, [*OWN, "vtrain"]))
    best, found = _fit_together(others)
    left_out[~np.isin(runs.source, [*OWN, "vtrain"])] = found
    for source, generation in OWN.items():
        own = runs.source == source
        if own.any():
            left_out[own] = _fit_own(runs.take(own), generation, CONSTANTS, best)
    alone = runs.source == "vtrain"
    if alone.any():
        left_out[alone] = predicted(runs.take(alone), CONSTANTS, best)
        print(f"vtrain     {mape(left_out[alone] / runs.seconds[alone]):6.1%}  (no part in any fit)")
    if "--write" in arguments and not paths:  # left_out.csv goes with the tables in data/
        _write(runs, left_out)


def _fit_together(runs: Runs) -> tuple[Floats, Floats]:
    """All sources but those of their own: values, and each run's seconds by constants fitted without its source."""
    best = fit(runs, CONSTANTS)
    _print_constants(CONSTANTS, best)
    line = linearized(runs, CONSTANTS, best)
    inside = predicted(runs, CONSTANTS, best) / runs.seconds
    outside = inside.copy()
    fitted = sorted(set(runs.source[runs.is_fit]))
    for source in fitted:
        own = runs.source == source
        values = fit(runs, CONSTANTS, (source,), line)
        outside[own] = predicted(runs.take(own), CONSTANTS, values) / runs.seconds[own]
    print("\nsource      runs  in sample  left out      bias  one constant")
    rows = []
    for source in sorted(set(runs.source)):
        own = runs.source == source
        one = mape(outside[own] / np.exp(np.log(outside[own]).mean()))
        rows.append((mape(inside[own]), mape(outside[own]), one))
        line_of = f"{source:10} {own.sum():5} {rows[-1][0]:10.1%} {rows[-1][1]:9.1%} {outside[own].mean() - 1:+9.1%}"
        print(f"{line_of} {one:13.1%}{'' if source in fitted else '  (no part in any fit)'}")
        if source not in fitted:
            rows.pop()
    means = np.array(rows).mean(axis=0)
    print(f"{'mean':10} {len(fitted):5} {means[0]:10.1%} {means[1]:9.1%} {means[2]:23.1%}\n")
    return best, outside * runs.seconds


def _fit_own(runs: Runs, generation: str, constants: Sequence[Constant], best: Floats) -> Floats:
    """A source of its own, split inside by model: seconds of each model by the facts fitted to the others."""
    own = tuple(each for each in OWN_CONSTANTS if each.table == generation)
    fixed = {(each.table, each.field): value for each, value in zip(constants, best, strict=True)}
    every = (*own, *constants)
    model = np.array([case.problem.model.name for case in runs.cases])
    held = np.array(list(fixed.values()))

    def fit_to(rows: Bools) -> Floats:
        part = runs.take(rows)
        values = np.array([each.start for each in own])
        for _ in range(ROUNDS):
            line = _line(part, every, values, held)
            part = dataclasses.replace(part, is_fit=np.abs(line.residual) < FAULT)
            values = line.values * np.exp(_solve(part, own, line, (), OWN_OPINION))
        return values

    def seconds(rows: Bools, values: Floats) -> Floats:
        return predicted(runs.take(rows), every, np.concatenate([values, held]))

    everyone = np.ones(len(model), dtype=bool)
    values = fit_to(everyone)
    _print_constants(own, values)
    print(f"{runs.source[0]:10} {len(model):5} {mape(seconds(everyone, values) / runs.seconds):10.1%}  in sample")
    outside = runs.seconds.copy()
    for name in sorted(set(model)):
        rows = model == name
        outside[rows] = seconds(rows, fit_to(~rows))
        print(f"  {name}, fitted to the others: {mape(outside[rows] / runs.seconds[rows]):.1%}")
    return outside


def _print_constants(constants: Sequence[Constant], values: Floats) -> None:
    for each, value in zip(constants, values, strict=True):
        print(f"{each.table:24} {each.field:30} {value:12.4g}  from {each.start:g}")


def _write(runs: Runs, seconds: Floats) -> None:
    with LEFT_OUT.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "left_out_seconds"))
        for case, value in zip(runs.cases, seconds, strict=True):
            if math.isfinite(value):
                writer.writerow((case.row.id, f"{value:.6g}"))


if __name__ == "__main__":
    main(sys.argv[1:])
