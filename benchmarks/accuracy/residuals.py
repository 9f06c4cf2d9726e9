"""What the errors of the published runs are when a run, its GPU or its framework was not studied."""

import csv
import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crosszone.catalog.frameworks import framework
from crosszone.core.calibration import Calibration, CalibrationPrior
from crosszone.core.closeness import ErrorLedger
from crosszone.errors import SpecError
from crosszone.verify.calibrate import LEAST_PER_CLUSTER, PRIOR, calibrate_cases, calibrated, clusters_prior
from crosszone.verify.case import Case, case_of
from crosszone.verify.ledger import Residual
from crosszone.verify.measured import STEP
from crosszone.verify.predicted import forecasts
from crosszone.verify.row import read_rows
from crosszone.verify.validate import closeness

FOLDER = Path(__file__).parent
DATA = FOLDER / "data"
LEFT_OUT = FOLDER / "left_out.csv"
"""Written by fit.py: `id` and `left_out_seconds`, predicted by constants fitted to all other sources."""
UNSEEN = "unseen"
"""A GPU generation that no table of efficiencies has: its default table stands in."""
OTHER_FRAMEWORK = {"megatron": "deepspeed", "deepspeed": "megatron", "torchtitan": "fsdp", "fsdp": "torchtitan"}
"""Whose facts a run gets where its framework is taken to be unseen: those of the nearest in kind. A run of an older
generation gets today's."""
PROBE_RATIO = 1.1
"""How much slower GPUs are taken to be, to see how much of a step they decide."""
APART = ("vtrain", "usp")
"""Not in the means over sources, nor in a prior: small models on one node, and every layout that can be had, good and
terrible."""
RUNS_IN_TURN = 8
"""Of each source and GPU, spread evenly over the half whose steps are most nearly all computing."""


def tables() -> dict[str, str]:
    """CSV text of every source."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(DATA.glob("*.csv"))}


def timed_cases(texts: Iterable[str]) -> list[Case]:
    """Every row that measured a step and can be expressed."""
    found = []
    for text in texts:
        for row in read_rows(text):
            try:
                case = case_of(row)
            except SpecError:
                continue
            if any(measured.quantity == STEP for measured in case.measured):
                found.append(case)
    return found


def left_out_seconds() -> dict[str, float]:
    """Seconds of each row of data/ as predicted by constants fitted without its source; empty before fit.py has run."""
    if not LEFT_OUT.exists():
        return {}
    with LEFT_OUT.open(encoding="utf-8", newline="") as file:
        return {row["id"]: float(row["left_out_seconds"]) for row in csv.DictReader(file)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """Errors of the same runs under different knowledge."""

    plain: tuple[Residual, ...]
    """The runs as they are, left out of the fit where fit.py says so."""
    unseen: tuple[Residual, ...]
    """With their GPU, framework or both taken to be unseen."""
    one_run: tuple[Residual, ...]
    """After one other run of the same source and GPU was learnt from, as far as other sources say that one run is to be
    believed."""
    left_out_one_run: tuple[Residual, ...]
    """The same by constants fitted without the source."""

    @property
    def all(self) -> tuple[Residual, ...]:
        """What a ledger is learnt from."""
        return (*self.plain, *self.unseen, *self.left_out_one_run)


def residuals(cases: Sequence[Case], scope: ErrorLedger) -> Residuals:
    """All errors of `cases`; `scope` says what was studied."""
    changed = (
        [_with_unseen_gpu(case) for case in cases],
        [_with_other_facts(case) for case in cases],
        [_with_unseen_gpu(_with_other_facts(case)) for case in cases],
    )
    known = left_out_seconds()
    shipped = {case.row.id: forecast.step_seconds for case, forecast in zip(cases, forecasts(cases), strict=True)}
    return Residuals(
        plain=_residuals(cases, scope, known),
        unseen=tuple(residual for each in changed for residual in _residuals(each, scope, {})),
        one_run=_one_run(cases, scope, {}),
        left_out_one_run=_one_run(
            cases, scope, {row: seconds / shipped[row] for row, seconds in known.items() if row in shipped}
        ),
    )


def prior(cases: Sequence[Case], but: str = "") -> CalibrationPrior:
    """Spreads between and within clusters, from runs left out of the fit; `but` and `APART` have no say.

    The shipped prior where nobody else has.
    """
    seconds = dict(left_out_seconds())
    unknown = [case for case in cases if case.row.id not in seconds]
    seconds |= {case.row.id: each.step_seconds for case, each in zip(unknown, forecasts(unknown), strict=True)}
    clusters = _clusters([case for case in cases if case.row.source not in (but, *APART)])
    if all(len(members) < LEAST_PER_CLUSTER for members in clusters.values()):
        return PRIOR
    return clusters_prior(
        [math.log(measured_seconds(case) / seconds[case.row.id]) for case in members] for members in clusters.values()
    )


def measured_seconds(case: Case) -> float:
    """The step that the row measured."""
    return next(float(measured.value) for measured in case.measured if measured.quantity == STEP)


def _residuals(cases: Sequence[Case], scope: ErrorLedger, known: dict[str, float]) -> tuple[Residual, ...]:
    return tuple(
        Residual(
            source=case.row.source,
            closeness=closeness(case, scope),
            log_ratio=math.log(measured_seconds(case) / known.get(case.row.id, forecast.step_seconds)),
        )
        for case, forecast in zip(cases, forecasts(cases), strict=True)
    )


def _with_unseen_gpu(case: Case) -> Case:
    zone = case.problem.cluster.zones[0]
    group = zone.node_groups[0]
    gpu = dataclasses.replace(group.gpu, name=UNSEEN, generation=UNSEEN)
    zone = dataclasses.replace(zone, node_groups=(dataclasses.replace(group, gpu=gpu),))
    cluster = dataclasses.replace(case.problem.cluster, zones=(zone,))
    return dataclasses.replace(case, problem=dataclasses.replace(case.problem, cluster=cluster))


def _with_other_facts(case: Case) -> Case:
    name, _, generation = case.framework.name.partition(" ")
    other = framework(name if generation else OTHER_FRAMEWORK.get(name, "megatron"))
    row = dataclasses.replace(case.row, assumed=["framework unseen: the facts of another stand in."])
    return dataclasses.replace(case, row=row, framework=dataclasses.replace(other, name=case.framework.name))


def _clusters(cases: Sequence[Case]) -> dict[tuple[str, str], list[Case]]:
    """By source and GPU."""
    clusters: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        clusters[case.row.source, _gpu(case)].append(case)
    return clusters


def _one_run(cases: Sequence[Case], scope: ErrorLedger, ratios: Mapping[str, float]) -> tuple[Residual, ...]:
    """Of the other runs of a source and GPU, after each of `RUNS_IN_TURN` was learnt from.

    `ratios` are a run's seconds by other constants over those by the shipped ones: measured seconds are divided by
    them, which leaves every error as the other constants have it.
    """
    priors = {source: prior(cases, source) for source in {case.row.source for case in cases}}
    cases = [_divided(case, ratios.get(case.row.id, 1.0)) for case in cases]
    scaled: list[Case] = []
    for (source, _), members in _clusters(cases).items():
        for own in _in_turn(members) if len(members) >= LEAST_PER_CLUSTER else ():
            calibration = _learnt_from(own, priors[source])
            if calibration is not None:
                scaled += [calibrated(case, [calibration]) for case in members if case is not own]
    return _residuals(scaled, scope, {})


def _divided(case: Case, ratio: float) -> Case:
    measured = tuple(
        dataclasses.replace(each, value=float(each.value) / ratio) if each.quantity == STEP else each
        for each in case.measured
    )
    return dataclasses.replace(case, measured=measured)


def _in_turn(cases: Sequence[Case]) -> list[Case]:
    """The runs to learn from: the half whose predicted steps grow most where GPUs are slower, thinned."""
    slower = [
        calibrated(case, [Calibration(gpu=_gpu(case), compute_seconds_ratio=PROBE_RATIO, num_runs=0, source="")])
        for case in cases
    ]
    growth = [
        slow.step_seconds / fast.step_seconds for slow, fast in zip(forecasts(slower), forecasts(cases), strict=True)
    ]
    order = sorted(range(len(cases)), key=lambda index: (-growth[index], index))[: (len(cases) + 1) // 2]
    count = min(RUNS_IN_TURN, len(order))
    return [cases[order[position * len(order) // count]] for position in range(count)]


def _learnt_from(case: Case, believed: CalibrationPrior) -> Calibration | None:
    """None where no constant explains the run."""
    try:
        return calibrate_cases([case], source=case.row.source, date="", prior=believed).calibrations[0]
    except SpecError:
        return None


def _gpu(case: Case) -> str:
    return case.problem.cluster.zones[0].node_groups[0].gpu.name
