"""From kernels timed on one GPU to the shares of its peaks that the cost model works with."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from crosszone.core.calibration import Calibration, MeasuredShares
from crosszone.core.cluster import Gpu
from crosszone.core.efficiency import Efficiency
from crosszone.core.measured_gpu import AttentionTiming, FittedShare, GemmTiming, GpuReport, MeasuredGpu
from crosszone.core.tables import Floats
from crosszone.core.workload import DTYPE_BYTES
from crosszone.cost.flop import attention_pairs
from crosszone.cost.gemm import gemm_seconds
from crosszone.cost.layer import FLASH_BACKWARD_FLOP_RATIO
from crosszone.errors import CrossZoneError, Finding
from crosszone.timeline.inputs import ASSUMED_SMS

BOUNDS = {
    "gemm_fraction": (0.02, 1.2),
    "fp8_gemm_fraction": (0.02, 1.2),
    "gemm_overhead_depth": (1.0, 1e5),
    "attention_fraction": (0.01, 1.2),
    "attention_backward_fraction": (0.01, 1.2),
    "flash2_factor": (0.05, 1.0),
    "memory_fraction": (0.05, 1.1),
}
"""Least and most of each share. Above 1 only as far as a part's clocks exceed those of its sheet; beyond, the catalog's
sheet is of another part, or the clock was wrong."""
LEAST_STREAM_BYTES = 2.0**28
"""Shorter streams stay in the last cache: 256 MiB is the largest there is (AMD MI300)."""
LEAST_LAUNCHES = 3.0
"""Products that take less than this many kernel launches are timed with gaps between them: not fitted."""
LEAST_PRODUCTS = 4
"""To tell the rate of the main loop from the depth that a tile costs besides."""
START_RATIOS = (0.25, 1.0, 4.0)
"""Of the catalog's depth, to start from: the best end counts."""
MAX_ITERATIONS = 100
DIFFERENCE = 1e-5
"""Step of the logarithms in the numerical derivative."""
TOLERANCE = 1e-10
OUTLIER = 0.15
"""Residuals beyond this weigh less (Huber): libraries pick a bad kernel for the odd shape."""


def fit_gpu(measured: MeasuredGpu, gpu: Gpu, efficiency: Efficiency) -> GpuReport:
    """The shares of `gpu`'s peaks that `measured` shows; `efficiency` is the catalog's, which holds for the rest.

    Errors: CrossZoneError with every share outside `BOUNDS`, and where nothing could be fitted.
    """
    memory = tuple(_memory_share(measured, gpu, efficiency))
    memory_fraction = memory[0].value if memory else efficiency.memory_fraction
    products = tuple(_product_shares(measured, gpu, efficiency, memory_fraction * gpu.memory_bytes_per_second))
    shares = (*products, *_attention_shares(measured, gpu, efficiency), *memory)
    faults = [_fault(share, measured, gpu) for share in shares if not is_plausible(share.name, share.value)]
    if not shares:
        reasons = " ".join(measured.skipped[:3])
        faults = [Finding(code="nothing_timed", message=f"nothing could be timed. {reasons}".rstrip(), where="gpu")]
    if faults:
        raise CrossZoneError(*faults)
    calibration = Calibration(
        gpu=gpu.name,
        compute_seconds_ratio=1.0,
        num_runs=0,
        source=f"kernels timed on {measured.name} with torch {measured.torch_version}",
        date=measured.date,
        efficiency=MeasuredShares(**{share.name: share.value for share in shares}),
    )
    return GpuReport(calibration=calibration, shares=shares, measured=measured, notes=_notes(shares))


def is_plausible(name: str, value: float) -> bool:
    """Whether a GPU can have this share."""
    low, high = BOUNDS[name]
    return math.isfinite(value) and low <= value <= high


def _fault(share: FittedShare, measured: MeasuredGpu, gpu: Gpu) -> Finding:
    low, high = BOUNDS[share.name]
    return Finding(
        code="not_plausible",
        message=f"{share.name} comes out as {share.value:.3g}; it can be {low:g} to {high:g}.",
        where=measured.name,
        hint=f"Check that it is a {gpu.name}, that nothing else runs on it, and that its clocks are as sold.",
    )


def _notes(shares: Sequence[FittedShare]) -> tuple[str, ...]:
    missing = sorted(set(BOUNDS) - {share.name for share in shares})
    return (f"not fitted, the catalog's hold: {', '.join(missing)}.",) if missing else ()


def _memory_share(measured: MeasuredGpu, gpu: Gpu, efficiency: Efficiency) -> Iterator[FittedShare]:
    """Bytes per second of streams that no cache holds, over the sheet's."""
    rates = [each.moved_bytes / each.seconds for each in measured.streams if each.moved_bytes >= LEAST_STREAM_BYTES]
    if rates:
        yield _mean_share("memory_fraction", [rate / gpu.memory_bytes_per_second for rate in rates], efficiency)


def _product_shares(
    measured: MeasuredGpu, gpu: Gpu, efficiency: Efficiency, memory_bytes_per_second: float
) -> Iterator[FittedShare]:
    """Fraction and depth from 16-bit products, then the fraction of fp8 with that depth."""
    least_seconds = LEAST_LAUNCHES * (measured.kernel_launch_seconds or 0.0)
    rows = [each for each in measured.gemms if each.seconds >= least_seconds]
    wide = [each for each in rows if each.precision != "fp8" and gpu.peak(each.precision)]
    depth = efficiency.gemm_overhead_depth
    if len(wide) >= LEAST_PRODUCTS and len({each.k for each in wide}) > 1:
        model = _product_model(wide, gpu, memory_bytes_per_second)
        fraction, depth, residuals = _fitted(model, wide, efficiency.gemm_fraction, depth)
        spread = _spread(residuals)
        for name, value in (("gemm_fraction", fraction), ("gemm_overhead_depth", depth)):
            yield _share(name, value, efficiency, len(wide), spread)
    narrow = [each for each in rows if each.precision == "fp8"]
    if narrow and gpu.peak("fp8"):
        model = _product_model(narrow, gpu, memory_bytes_per_second)
        fraction, _, residuals = _fitted(model, narrow, efficiency.fp8_gemm_fraction, depth, is_depth_free=False)
        yield _share("fp8_gemm_fraction", fraction, efficiency, len(narrow), _spread(residuals))


_Model = Callable[[float, float], Floats]
"""(fraction, overhead depth) to the seconds of each product."""


def _product_model(rows: Sequence[GemmTiming], gpu: Gpu, memory_bytes_per_second: float) -> _Model:
    """The cost model's own seconds of these products, all of one width, as the prediction will work them out."""
    m, n, k = (np.array([getattr(row, name) for row in rows], dtype=float) for name in "mnk")
    peaks = np.array([gpu.peak(row.precision) or math.nan for row in rows])
    wide_peak = _wide_peak(gpu)

    def seconds(fraction: float, depth: float) -> Floats:
        return gemm_seconds(
            m,
            n,
            k,
            flop_per_second=peaks * fraction,
            num_sms=float(gpu.num_sms or ASSUMED_SMS),
            overhead_depth=depth * np.maximum(peaks / wide_peak, 1.0),
            memory_bytes_per_second=memory_bytes_per_second,
            element_bytes=DTYPE_BYTES["bf16"],
        )

    return seconds


def _fitted(
    model: _Model, rows: Sequence[GemmTiming], fraction: float, depth: float, *, is_depth_free: bool = True
) -> tuple[float, float, Floats]:
    """Fraction, depth and what is left of the logarithms; from several depths, as the best tile jumps with it."""
    measured = np.log([row.seconds for row in rows])

    def residuals(logs: Floats) -> Floats:
        low, high = np.log(BOUNDS["gemm_overhead_depth"])
        own_depth = math.exp(float(np.clip(logs[1], low, high))) if is_depth_free else depth
        return np.asarray(np.log(model(math.exp(float(logs[0])), own_depth)) - measured)

    ratios = START_RATIOS if is_depth_free else (1.0,)
    starts = [np.log([fraction, depth * ratio])[: 1 + is_depth_free] for ratio in ratios]
    ends = [_least_squares(residuals, start) for start in starts]
    best = min(ends, key=lambda logs: _cost(residuals(logs)))
    return math.exp(best[0]), math.exp(best[1]) if is_depth_free else depth, residuals(best)


def _least_squares(residuals: Callable[[Floats], Floats], start: Floats) -> Floats:
    """Levenberg-Marquardt with numerical derivatives and Huber weights: where `_cost` is least near `start`."""
    at, damping = start, 1e-3
    left = residuals(at)
    for _ in range(MAX_ITERATIONS):
        steps = np.eye(len(at)) * DIFFERENCE
        slopes = np.stack([(residuals(at + step) - left) / DIFFERENCE for step in steps], axis=1)
        weights = 1.0 / np.maximum(np.abs(left) / OUTLIER, 1.0)
        normal = slopes.T @ (weights[:, None] * slopes)
        slope = slopes.T @ (weights * left)
        scale = np.diag(np.maximum(np.diag(normal), 1e-9))
        tried = at - np.linalg.solve(normal + damping * scale, slope)
        tried_left = residuals(tried)
        if _cost(tried_left) < _cost(left):
            has_converged = np.abs(tried - at).max() < TOLERANCE
            at, left, damping = tried, tried_left, damping / 5.0
            if has_converged:
                break
        elif damping > 1e8:
            break
        else:
            damping *= 5.0
    return at


def _cost(residuals: Floats) -> float:
    """Huber's loss: squares up to `OUTLIER`, beyond it straight lines."""
    size = np.abs(residuals)
    return float(np.where(size <= OUTLIER, 0.5 * size**2, OUTLIER * (size - 0.5 * OUTLIER)).sum())


def _attention_shares(measured: MeasuredGpu, gpu: Gpu, efficiency: Efficiency) -> Iterator[FittedShare]:
    """Rates of the fastest kernel over the peak, and of FlashAttention-2 over the fastest.

    Where only FlashAttention-2 was timed, the catalog's ratio between the two stands.
    """
    by_kernel = {
        kernel: [each for each in measured.attentions if each.kernel == kernel] for kernel in ("best", "flash2")
    }
    known = {kernel: rows for kernel, rows in by_kernel.items() if rows}
    if not known:
        return
    totals = {kernel: statistics.fmean(map(_log_seconds_per_flop, rows)) for kernel, rows in known.items()}
    fastest = min(known, key=lambda kernel: totals[kernel])
    is_alone = "best" not in known
    factor = efficiency.flash2_factor if is_alone else 1.0
    peak, rows = _wide_peak(gpu) * factor, known[fastest]
    forward = [_attention_flop(each) / each.forward_seconds / peak for each in rows]
    backward = [FLASH_BACKWARD_FLOP_RATIO * _attention_flop(each) / each.backward_seconds / peak for each in rows]
    yield _mean_share("attention_fraction", forward, efficiency)
    yield _mean_share("attention_backward_fraction", backward, efficiency)
    if "flash2" in known and not is_alone:
        ratio = math.exp(totals[fastest] - totals["flash2"])
        yield _share("flash2_factor", ratio, efficiency, len(known["flash2"]), None)


def _attention_flop(timing: AttentionTiming) -> float:
    """Forward: two products over the unmasked pairs, as `cost.flop.attention_flop` counts them for a model."""
    pairs = attention_pairs(timing.sequence_length, None, is_causal=True)
    return 4.0 * pairs * timing.batch_size * timing.num_heads * timing.head_size


def _log_seconds_per_flop(timing: AttentionTiming) -> float:
    return math.log((timing.forward_seconds + timing.backward_seconds) / _attention_flop(timing))


def _wide_peak(gpu: Gpu) -> float:
    """Of the 16-bit format that products and attention are timed in."""
    peak = gpu.peak("bf16") or gpu.peak("fp16")
    return math.nan if peak is None else peak


def _mean_share(name: str, values: Sequence[float], efficiency: Efficiency) -> FittedShare:
    """Least squares of logarithms for one constant is their mean."""
    logs = np.log(values)
    return _share(name, math.exp(logs.mean()), efficiency, len(values), _spread(logs - logs.mean()))


def _share(name: str, value: float, efficiency: Efficiency, num_timings: int, spread: float | None) -> FittedShare:
    return FittedShare(
        name=name,
        value=float(value),
        catalog_value=getattr(efficiency, name),
        num_timings=num_timings,
        spread_fraction=spread,
    )


def _spread(logs: Floats) -> float | None:
    return float(np.std(logs, ddof=1)) if len(logs) > 1 else None
