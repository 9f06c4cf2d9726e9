"""Failures, checkpoints and restarts: how much longer a training takes than its work, and how sure that is.

Legend: M mean time between failures of the job, C what a checkpoint blocks, R what a restart takes, tau work between
two checkpoints, s = tau + C one segment, T all the work. Failures are independent and come at a constant rate; one that
comes while a segment is checkpointed or while the job restarts counts too. While something is repaired nothing else
happens: no work that could be lost, and no further failure of what is down. Unknown is NaN.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crosszone.core.tables import Floats, Numeric

SMALL_RATIO = 1e-2
"""Below it variances are taken from their series: the closed forms subtract numbers that are nearly equal."""
LARGE_RATIO = 300.0
"""Beyond it nothing ever comes through."""
MOST_COUNTED = 50.0
"""Failures up to which each number of them is weighed by itself; beyond, their sum is normal."""
NUM_POINTS, NUM_ROUNDS = 65, 6
"""A quantile is found on a grid that is laid anew, 64 times as fine, in each round."""


def job_mtbf_seconds(failures_per_second: Numeric) -> Floats:
    """Mean time to the first failure of anything that the job needs: rates of independent parts add up.

    Infinite where nothing fails. Source: Daly 2006, sec. 2 (system MTBF = component MTBF / number of components).
    """
    rate = np.asarray(failures_per_second, dtype=float)
    return np.asarray(np.where(rate == 0.0, np.inf, 1.0 / np.where(rate == 0.0, 1.0, rate)))


def young_interval_seconds(*, checkpoint_seconds: Numeric, mtbf_seconds: Numeric) -> Floats:
    """Work between two checkpoints that loses least, to first order: sqrt(2 C M).

    Source: Young 1974, "A first order approximation to the optimum checkpoint interval", CACM 17(9).
    """
    return np.asarray(np.sqrt(2.0 * np.asarray(checkpoint_seconds, dtype=float) * mtbf_seconds))


def daly_interval_seconds(*, checkpoint_seconds: Numeric, mtbf_seconds: Numeric) -> Floats:
    """The same to higher order: sqrt(2 C M) (1 + sqrt(C/2M)/3 + (C/2M)/9) - C for C < 2M, else M.

    Source: Daly 2006, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future
    Generation Computer Systems 22(3), eq. 37.
    """
    blocked, mean = np.asarray(checkpoint_seconds, dtype=float), np.asarray(mtbf_seconds, dtype=float)
    ratio = np.where(np.isinf(mean), 0.0, blocked / (2.0 * np.where(np.isinf(mean), 1.0, mean)))
    young = young_interval_seconds(checkpoint_seconds=blocked, mtbf_seconds=mean)
    higher = young * (1.0 + np.sqrt(ratio) / 3.0 + ratio / 9.0) - blocked
    return np.asarray(np.where(blocked < 2.0 * mean, higher, mean))


def expected_wall_seconds(
    *,
    work_seconds: Numeric,
    every_seconds: Numeric,
    checkpoint_seconds: Numeric,
    restart_seconds: Numeric,
    mtbf_seconds: Numeric,
) -> Floats:
    """Mean wall time of T seconds of work: M e^(R/M) (e^((tau+C)/M) - 1) T/tau; without failures T (1 + C/tau).

    Each segment is tried until it succeeds; a failure costs what was done of it, and a restart that may fail itself.
    Source: Daly 2006, eq. 20, the complete cost function.
    """
    work, every = np.asarray(work_seconds, dtype=float), np.asarray(every_seconds, dtype=float)
    mean = np.asarray(mtbf_seconds, dtype=float)
    never = np.isinf(mean)
    finite = np.where(never, 1.0, mean)
    segment = every + checkpoint_seconds
    with np.errstate(over="ignore"):
        tried = finite * np.exp(np.asarray(restart_seconds) / finite) * np.expm1(segment / finite)
    return np.asarray(work / every * np.where(never, segment, tried))


def expected_num_failures(
    *, work_seconds: Numeric, every_seconds: Numeric, checkpoint_seconds: Numeric, mtbf_seconds: Numeric
) -> Floats:
    """Mean number of failures that lose work: (e^(s/M) - 1) for each of T/tau segments, without those in restarts.

    A segment succeeds with probability p = e^(-s/M); the failures before that are geometric, (1-p)/p on average.
    """
    segment = np.asarray(every_seconds, dtype=float) + checkpoint_seconds
    with np.errstate(over="ignore"):
        return np.asarray(np.asarray(work_seconds) / every_seconds * np.expm1(segment / np.asarray(mtbf_seconds)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WallTime:
    """Distribution of the wall time of one training: a sum over a random number of failures."""

    base_seconds: float
    """Work and checkpoints, without failures."""
    num_segments: float
    success_probability: float
    """Of one segment, at each try."""
    loss_seconds: float
    """Mean of what one failure costs: work done since the last checkpoint, repairs, and the restart."""
    loss_variance: float
    """Of the same, in square seconds."""

    @property
    def num_failures(self) -> float:
        """Their mean; infinite where no segment ever comes through."""
        if self.success_probability == 0.0:
            return float("inf")
        return self.num_segments * (1.0 - self.success_probability) / self.success_probability

    @property
    def mean_seconds(self) -> float:
        """Equal to `expected_wall_seconds`."""
        return self.base_seconds + self.num_failures * self.loss_seconds

    def quantile_seconds(self, probability: float) -> float:
        """Wall time that the training stays under with this probability.

        The number of failures is negative binomial (geometric in each segment). k of them cost k losses, a sum that
        is taken as normal, cut off below 0; with no failure the time is certain. Many failures: normal altogether.
        """
        return _quantile_seconds(self, probability)

    def variance(self) -> float:
        """Of a random sum: E[N] Var[X] + Var[N] E[X]^2, with Var[N] = E[N]/p."""
        return self.num_failures * (self.loss_variance + self.loss_seconds**2 / self.success_probability)

    def share_below(self) -> Callable[[Floats], Floats]:
        """Probability that the training takes no longer than each of some seconds."""
        if self.num_failures > MOST_COUNTED:
            spread = np.sqrt(self.variance())
            return lambda seconds: _normal_share((seconds - self.mean_seconds) / spread)
        counts = np.arange(1.0, 20.0 + self.num_failures + 12.0 * np.sqrt(self.num_failures / self.success_probability))
        none = self.success_probability**self.num_segments
        weights = none * np.cumprod((self.num_segments + counts - 1.0) / counts * (1.0 - self.success_probability))
        spreads = np.maximum(np.sqrt(counts * self.loss_variance), np.finfo(float).tiny)
        means = counts * self.loss_seconds

        def share(seconds: Floats) -> Floats:
            lost = (seconds - self.base_seconds)[:, None]
            return np.asarray(none + _normal_share((lost - means) / spreads) @ weights)

        return share


def wall_time(
    *,
    work_seconds: float,
    every_seconds: float,
    checkpoint_seconds: float,
    restart_seconds: float,
    mtbf_seconds: float,
    repair_seconds: float = 0.0,
    repair_variance: float = 0.0,
) -> WallTime:
    """The distribution for T = `work_seconds`, in T/tau segments (a fraction of one counts as such).

    Work lost by a failure is exponential below s: mean M - s/(e^(s/M) - 1), variance M^2 - s^2 e^(s/M)/(e^(s/M) - 1)^2.
    A restart is repeated until it runs through: mean M (e^x - 1) and variance M^2 (e^2x - 2x e^x - 1) for x = R/M.
    `repair_seconds` pass after each failure before the restart, in which nothing fails: mean over all failures, and its
    variance. Failures until a restart runs through are geometric, e^x with variance e^2x - e^x, so that the mean wall
    time is Daly's times 1 + repair / M: what it would be without repairs, over the availability of the parts.
    Source: moments of the truncated exponential, and of the time until a first run without failure (Daly 2006, sec. 3).
    """
    segment = every_seconds + checkpoint_seconds
    num_segments = work_seconds / every_seconds
    base = work_seconds + num_segments * checkpoint_seconds
    if np.isinf(mtbf_seconds):
        return WallTime(
            base_seconds=base, num_segments=num_segments, success_probability=1.0, loss_seconds=0.0, loss_variance=0.0
        )
    ratio, restart = segment / mtbf_seconds, restart_seconds / mtbf_seconds
    with np.errstate(over="ignore"):
        lost = _truncated_mean(ratio) + np.expm1(restart)
        variance = _truncated_variance(ratio) + _repeated_variance(restart)
        repairs = _waited(restart, repair_seconds, repair_variance)
    return WallTime(
        base_seconds=base,
        num_segments=num_segments,
        success_probability=float(np.exp(-ratio)),
        loss_seconds=float(mtbf_seconds * lost + repairs[0]),
        loss_variance=float(mtbf_seconds**2 * variance + repairs[1]),
    )


@functools.lru_cache(maxsize=256)
def _quantile_seconds(wall: WallTime, probability: float) -> float:
    """Kept, as a search comes by its best plans several times."""
    if wall.num_failures == 0.0:
        return wall.base_seconds
    spread = np.sqrt(wall.variance())
    low, high = wall.base_seconds, wall.mean_seconds + 40.0 * spread
    if wall.num_failures > MOST_COUNTED:
        low = wall.mean_seconds - 40.0 * spread
    share_below = wall.share_below()
    for _ in range(NUM_ROUNDS):
        grid = np.linspace(low, high, NUM_POINTS)
        first = int(np.argmax(share_below(grid) >= probability))
        low, high = grid[max(first - 1, 0)], grid[first]
    return max(float(high), wall.base_seconds)


def failure_probability(*, wall_seconds: Numeric, mtbf_seconds: Numeric) -> Floats:
    """That at least one failure comes within `wall_seconds`: 1 - e^(-t/M)."""
    return np.asarray(-np.expm1(-np.asarray(wall_seconds, dtype=float) / mtbf_seconds))


def checkpoint_bytes(*, num_parameters: Numeric, parameter_bytes: Numeric) -> Floats:
    """Weights and the optimizer's states, once each: what training needs to go on, gradients are not kept.

    BLOOM's 176 B parameters x (2 + 4 + 8) bytes = 2.46 TB, published as 2.3 TiB (BigScience 2022, training chronicles).
    """
    return np.asarray(np.asarray(num_parameters, dtype=float) * parameter_bytes)


def checkpoint_write_seconds(*, size_bytes: Numeric, num_nodes: Numeric, node_bytes_per_second: Numeric) -> Floats:
    """All nodes that hold one copy of the state write their parts at once: bytes / (nodes x rate).

    To read it back takes as long: each copy is read by as many nodes.
    """
    return np.asarray(np.asarray(size_bytes, dtype=float) / (np.asarray(num_nodes) * node_bytes_per_second))


def _waited(restart: float, repair_seconds: float, repair_variance: float) -> tuple[float, float]:
    """Mean and variance of all repairs until a restart of this ratio to M runs through; nothing without repairs."""
    if repair_seconds == 0.0:
        return 0.0, 0.0
    tries = float(np.exp(restart))
    return tries * repair_seconds, tries * (repair_variance + float(np.expm1(restart)) * repair_seconds**2)


def _truncated_mean(ratio: float) -> float:
    """Mean of an exponential of mean 1 that is below `ratio`: about ratio/2 where that is small."""
    if ratio < SMALL_RATIO:
        return ratio / 2.0 - ratio**2 / 12.0
    return float(1.0 - ratio / np.expm1(ratio))


def _truncated_variance(ratio: float) -> float:
    """Its variance: about ratio^2/12 where that is small."""
    if ratio < SMALL_RATIO:
        return ratio**2 / 12.0
    return float(1.0 - ratio**2 / (np.expm1(ratio) * -np.expm1(-ratio)))


def _repeated_variance(ratio: float) -> float:
    """Variance of the time until a run of length `ratio` comes through, mean time between failures 1."""
    if ratio < SMALL_RATIO:
        return ratio**3 / 3.0
    if ratio > LARGE_RATIO:
        return float("inf")
    return float(np.exp(2.0 * ratio) - 2.0 * ratio * np.exp(ratio) - 1.0)


def _normal_share(deviations: Numeric) -> Floats:
    """Share of a normal distribution below so many deviations; Abramowitz and Stegun 1964, 7.1.26, error < 2e-7."""
    value = np.asarray(deviations, dtype=float) / np.sqrt(2.0)
    step = 1.0 / (1.0 + 0.3275911 * np.abs(value))
    series = step * 1.061405429
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series += coefficient  # in place: many are asked at once
        series *= step
    half = series * np.exp(-np.square(value)) / 2.0
    return np.asarray(np.where(value < 0.0, half, 1.0 - half))
