"""How step time changes with the number of GPUs, as it was measured, with what may be believed of it."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95
"""Of all intervals."""
MODES = ("strong", "weak")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRun:
    """One start of one number of ranks."""

    mode: str
    """strong: the global batch stays; weak: each GPU's batch stays"""
    num_gpus: int
    repeat: int
    global_batch_tokens: int
    step_seconds: tuple[float, ...]
    """Of each step after the warm-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPoint:
    """All starts of one number of ranks. An interval is None with fewer than two starts."""

    mode: str
    num_gpus: int
    num_repeats: int
    global_batch_tokens: int
    step_seconds: float
    """Geometric mean over starts of the mean over steps."""
    step_low_seconds: float | None
    step_high_seconds: float | None
    tokens_per_second: float
    speedup: float
    """Tokens per second over those of the fewest GPUs, times that number of GPUs."""
    speedup_low: float | None
    speedup_high: float | None
    efficiency_fraction: float
    """Speed-up over GPUs."""
    predicted_step_seconds: float | None
    """None: nobody predicted this number of GPUs."""
    relative_error: float | None
    """(predicted - measured) / measured; None where nobody predicted it, or did for other devices than these ranks'."""


def default_sizes(num_gpus: int) -> list[int]:
    """Powers of two up to `num_gpus`, and those."""
    powers = [2**power for power in range(num_gpus.bit_length()) if 2**power <= num_gpus]
    return sorted({*powers, num_gpus})


def scaling_points(
    runs: Sequence[ScalingRun], predicted: Mapping[tuple[str, int], float], *, is_comparable: bool = True
) -> tuple[ScalingPoint, ...]:
    """The points of all `runs`, by mode and number of GPUs; `predicted` holds step seconds by (mode, GPUs).

    `is_comparable`: whether the ranks ran on the devices that were predicted.
    """
    grouped: dict[tuple[str, int], list[ScalingRun]] = {}
    for run in runs:
        grouped.setdefault((run.mode, run.num_gpus), []).append(run)
    found = []
    for mode in MODES:
        sizes = sorted(num for name, num in grouped if name == mode)
        for num_gpus in sizes:
            base = grouped[mode, sizes[0]]
            point = _point(grouped[mode, num_gpus], base, predicted.get((mode, num_gpus)))
            found.append(point if is_comparable else dataclasses.replace(point, relative_error=None))
    return tuple(found)


def mean_interval(values: Sequence[float]) -> tuple[float, float | None]:
    """(geometric mean of positive `values`, half width of the interval at `LEVEL` of its logarithm).

    t(n-1) * s / sqrt(n), with s of the logarithms, as of a log-normal sample: mean * exp(-+ half) is never below zero.
    None for one value.

    Source: Student 1908, "The probable error of a mean", Biometrika 6.
    """
    logs = [math.log(value) for value in values]
    mean = math.exp(statistics.fmean(logs))
    if len(values) < 2:
        return mean, None
    quantile = student_quantile(LEVEL, len(values) - 1)
    return mean, quantile * statistics.stdev(logs) / math.sqrt(len(values))


def student_quantile(level: float, degrees: int) -> float:
    """t for which |T| <= t has the probability `level`, by bisection of `student_probability`."""
    low, high = 0.0, 1.0
    while student_probability(high, degrees) < level:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if student_probability(middle, degrees) < level else (low, middle)
    return high


def student_probability(t: float, degrees: int) -> float:
    """P(|T| <= t) of Student's distribution with a whole number of degrees of freedom.

    With a = atan(t / sqrt(n)):
        n odd:  2/pi * (a + sin a * (cos a + 2/3 cos^3 a + ... + (2*4*..(n-3))/(3*5*..(n-2)) cos^(n-2) a))
        n even: sin a * (1 + 1/2 cos^2 a + ... + (1*3*..(n-3))/(2*4*..(n-2)) cos^(n-2) a)
    Source: Abramowitz and Stegun 1964, "Handbook of Mathematical Functions", 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = degrees % 2 == 1
    term, total = (cosine, 0.0) if is_odd else (1.0, 0.0)
    first = 3 if is_odd else 2
    num_terms = (degrees - 1) // 2 if is_odd else degrees // 2
    for index in range(num_terms):
        total += term
        lower = first + 2 * index
        term *= (lower - 1) / lower * cosine**2
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


def _point(runs: Sequence[ScalingRun], base: Sequence[ScalingRun], predicted: float | None) -> ScalingPoint:
    seconds, half = mean_interval([statistics.fmean(run.step_seconds) for run in runs])
    base_seconds, base_half = mean_interval([statistics.fmean(run.step_seconds) for run in base])
    first, start = runs[0], base[0]
    rate = first.global_batch_tokens / seconds
    speedup = start.num_gpus * rate / (start.global_batch_tokens / base_seconds)
    is_base = first.num_gpus == start.num_gpus
    # The logarithm of a quotient is a difference: half widths of independent means add as squares.
    spread = None
    if half is not None and base_half is not None:
        spread = 0.0 if is_base else math.hypot(half, base_half)
    step_low, step_high = _interval(seconds, half)
    speedup_low, speedup_high = _interval(speedup, spread)
    return ScalingPoint(
        mode=first.mode,
        num_gpus=first.num_gpus,
        num_repeats=len(runs),
        global_batch_tokens=first.global_batch_tokens,
        step_seconds=seconds,
        step_low_seconds=step_low,
        step_high_seconds=step_high,
        tokens_per_second=rate,
        speedup=speedup,
        speedup_low=speedup_low,
        speedup_high=speedup_high,
        efficiency_fraction=speedup / first.num_gpus,
        predicted_step_seconds=predicted,
        relative_error=None if predicted is None else (predicted - seconds) / seconds,
    )


def _interval(mean: float, half: float | None) -> tuple[float, float] | tuple[None, None]:
    """Around a mean, from the half width of its logarithm."""
    return (None, None) if half is None else (mean * math.exp(-half), mean * math.exp(half))
