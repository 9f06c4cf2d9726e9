"""When the whole training is done: failures, checkpoints, restarts and evaluation on top of the steps."""

import math
from dataclasses import dataclass

from crosszone import units
from crosszone.core.prediction import Finish, Reliability
from crosszone.core.problem import Problem
from crosszone.cost.reliability import (
    WallTime,
    daly_interval_seconds,
    failure_probability,
    job_mtbf_seconds,
    wall_time,
)
from crosszone.timeline.saving import NUM_KEPT, Saving, saving_of
from crosszone.timeline.threats import Footprint, Threats, threats_to

LEAST_GOODPUT = 1e-3
"""Below it a training counts as one that never ends: failures come about as fast as restarts, and the exponentials that
say how slowly it goes on are those of a model that nobody would let run so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How a training goes on the whole."""

    goodput_fraction: float | None
    finish: Finish
    reliability: Reliability
    assumed: tuple[str, ...]
    warnings: tuple[str, ...]


def outlook(
    problem: Problem, footprint: Footprint, step_seconds: float, wait_ratio: float = 0.0, *, with_p90: bool = True
) -> Outlook:
    """Goodput, finish and what they rest on; `wait_ratio`: seconds that each second of the step waits for data."""
    threats, saving = threats_to(problem, footprint), saving_of(problem, footprint)
    pauses = _Pauses(problem=problem, step_seconds=step_seconds, wait_ratio=wait_ratio)
    every = _every_seconds(problem, threats, saving, pauses.work_seconds)
    restart = saving.restart_seconds
    wall = None if threats.mtbf_seconds is None or every is None else wall_time(
        work_seconds=pauses.work_seconds or every,
        every_seconds=every,
        checkpoint_seconds=saving.blocked_seconds,
        restart_seconds=restart,
        mtbf_seconds=threats.mtbf_seconds,
        repair_seconds=threats.repair_seconds,
        repair_variance=threats.repair_variance,
    )  # fmt: skip
    never = wall is not None and every is not None and _never_ends(wall, pauses, every)
    known = None if never else wall
    is_hopeless = never and math.isfinite(pauses.work_seconds or 0.0)
    warnings = threats.warnings + ((_hopeless(threats, restart),) if is_hopeless else ())
    return Outlook(
        goodput_fraction=0.0 if never else None if known is None else pauses.useful_fraction(known, every),
        finish=_finish(known, pauses, with_p90=with_p90),
        reliability=_reliability(problem, threats, saving, pauses, known, every, restart + threats.repair_seconds),
        assumed=threats.assumed + saving.assumed,
        warnings=warnings,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pauses:
    """What stretches the work without failures."""

    problem: Problem
    step_seconds: float
    wait_ratio: float

    @property
    def num_steps(self) -> int | None:
        return self.problem.workload.num_steps

    @property
    def evaluation_seconds(self) -> float | None:
        """Over the whole training."""
        evaluation, steps = self.problem.workload.evaluation, self.num_steps
        if steps is None:
            return None
        return 0.0 if evaluation is None else steps // evaluation.every * evaluation.duration_seconds

    @property
    def data_wait_seconds(self) -> float | None:
        """Over the whole training."""
        return None if self.num_steps is None else self.wait_ratio * self.num_steps * self.step_seconds

    @property
    def work_seconds(self) -> float | None:
        """All that must be done, failures and checkpoints left out."""
        if self.num_steps is None:
            return None
        return self.num_steps * self.step_seconds + (self.evaluation_seconds or 0.0) + (self.data_wait_seconds or 0.0)

    def useful_fraction(self, wall: WallTime, every: float | None) -> float:
        """Steps over wall time; without an end, in the long run."""
        if self.num_steps is not None:
            return self.num_steps * self.step_seconds / wall.mean_seconds
        evaluation = self.problem.workload.evaluation
        pause = evaluation.duration_seconds / evaluation.every / self.step_seconds if evaluation else 0.0
        return (every or 0.0) / wall.mean_seconds / (1.0 + self.wait_ratio + pause)


def _every_seconds(problem: Problem, threats: Threats, saving: Saving, work_seconds: float | None) -> float | None:
    """Work between two checkpoints: as written, or what loses least; one at the end in any case."""
    every = problem.workload.checkpoint.every_seconds
    if every is None and threats.mtbf_seconds is not None:
        best = daly_interval_seconds(checkpoint_seconds=saving.blocked_seconds, mtbf_seconds=threats.mtbf_seconds)
        every = max(float(best), saving.write_seconds - saving.blocked_seconds)
    return every if every is None or work_seconds is None else min(every, work_seconds)


def _never_ends(wall: WallTime, pauses: _Pauses, every: float) -> bool:
    return not math.isfinite(wall.mean_seconds) or pauses.useful_fraction(wall, every) < LEAST_GOODPUT


def _finish(wall: WallTime | None, pauses: _Pauses, *, with_p90: bool) -> Finish:
    if wall is None or pauses.num_steps is None:
        return Finish(p50_seconds=None, p90_seconds=None)
    p90_seconds = wall.quantile_seconds(0.9) if with_p90 else None
    return Finish(p50_seconds=wall.quantile_seconds(0.5), p90_seconds=p90_seconds)


def _reliability(
    problem: Problem,
    threats: Threats,
    saving: Saving,
    pauses: _Pauses,
    wall: WallTime | None,
    every_seconds: float | None,
    restart_seconds: float,
) -> Reliability:
    total = None if wall is None or pauses.num_steps is None else wall
    mtbf = threats.mtbf_seconds
    seconds = None if total is None else total.mean_seconds
    link_rate = threats.link_failures_per_second
    link_mtbf = None if link_rate is None else float(job_mtbf_seconds(link_rate))
    return Reliability(
        mtbf_seconds=mtbf,
        checkpoint_bytes=saving.size_bytes,
        storage_bytes=saving.size_bytes * (problem.workload.checkpoint.num_kept or NUM_KEPT),
        checkpoint_write_seconds=saving.write_seconds,
        checkpoint_seconds=saving.blocked_seconds,
        checkpoint_every_seconds=every_seconds,
        restart_seconds=restart_seconds,
        expected_num_failures=None if total is None else total.num_failures,
        failure_probability=_probability(seconds, mtbf),
        link_failure_probability=_probability(seconds, link_mtbf),
        evaluation_seconds=pauses.evaluation_seconds,
        data_wait_seconds=pauses.data_wait_seconds,
        wall_seconds=seconds,
    )


def _probability(wall_seconds: float | None, mtbf_seconds: float | None) -> float | None:
    if wall_seconds is None or mtbf_seconds is None:
        return None
    return float(failure_probability(wall_seconds=wall_seconds, mtbf_seconds=mtbf_seconds))


def _hopeless(threats: Threats, restart_seconds: float) -> str:
    between, restart = units.format_seconds(threats.mtbf_seconds), units.format_seconds(restart_seconds)
    waits = f", after {units.format_seconds(threats.repair_seconds)} of repair" if threats.repair_seconds else ""
    return (
        f"workload.restart: something fails every {between}, and a restart takes {restart}{waits}: the training never "
        "ends. Use fewer nodes or links, or shorten the restart."
    )
