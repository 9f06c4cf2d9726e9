"""Times products, attention, memory and launches on one GPU: the raw figures behind its curves."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from crosszone.core.measured_gpu import AttentionTiming, GemmTiming, GpuState, MeasuredGpu, StreamTiming
from crosszone.errors import PreflightFailed

if TYPE_CHECKING:
    import torch

LIMIT_SECONDS = 60.0
WARM_UP_FRACTION = 0.1
"""Of the time, spent on large products before anything is timed: clocks settle at what power and heat allow."""
HINT_RUNS = "calibrate from measured runs with --from RUNS.csv, which needs no GPU"
FP8_CAPABILITY = (8, 9)
"""First CUDA compute capability with fp8 matrix units (Ada)."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What to time."""

    gemms: tuple[tuple[int, int, int], ...]
    """(m, n, k)."""
    sequence_lengths: tuple[int, ...]
    attention_tokens: int
    """Batch size times sequence length, but at least one sequence."""
    num_heads: int
    head_size: int
    stream_tensor_bytes: tuple[int, ...]
    """Of each operand."""
    timing_seconds: float
    """Spent on one of them at most."""


DEPTHS = (256, 512, 1024, 2048, 4096, 8192, 16384)
"""At one m and n, they tell the rate of the main loop from what a tile costs besides."""
LAYERS = ((2048, 2048), (6144, 2048), (8192, 2048), (4096, 4096), (6144, 4096), (14336, 4096), (4096, 14336))
"""(n, k) of products in models of 1 to 10 billion parameters: projections and both sides of an FFN."""
GRID = Grid(
    gemms=(
        *((8192, 8192, k) for k in DEPTHS),
        *((m, n, k) for m, (n, k) in itertools.product((1024, 4096, 16384), LAYERS)),
        *((n, k, 8192) for n, k in LAYERS),  # gradients of weights
        (8192, 32768, 4096),
    ),
    sequence_lengths=(1024, 2048, 4096, 8192, 16384),
    attention_tokens=16384,
    num_heads=32,
    head_size=128,
    stream_tensor_bytes=(2**22, 2**24, 2**26, 2**28, 2**29),
    timing_seconds=0.5,
)


def gpu_name() -> str:
    """The GPU that would be measured, as its driver calls it: the first that CUDA shows to this process.

    Errors: PreflightFailed where torch is missing, or sees no GPU.
    """
    try:
        import torch
    except ImportError as error:
        raise PreflightFailed.of(
            f"measuring a GPU needs torch, which cannot be imported here: {error}.",
            where="torch",
            hint=f"Install crosszone[train], or {HINT_RUNS}.",
            code="no_torch",
        ) from None
    if not torch.cuda.is_available():
        raise PreflightFailed.of(
            f"torch {torch.__version__} sees no GPU on this machine.",
            where="gpu",
            hint=f"Run it where nvidia-smi shows a GPU, with a torch built for it, or {HINT_RUNS}.",
            code="no_gpu",
        )
    return torch.cuda.get_device_name(0)


def measure(
    kind: str = "cuda",
    *,
    grid: Grid = GRID,
    limit_seconds: float = LIMIT_SECONDS,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> MeasuredGpu:
    """Time everything in `grid`; `kind` is torch's word, "cpu" for trying out.

    What does not run here, or has no time left, is listed in `skipped` with its reason. Takes `limit_seconds` at most,
    and a little more where a single kernel outlasts its share. `on_progress` is told the fraction that is done.

    Errors: PreflightFailed where not even a product runs.
    """
    import torch

    from crosszone.runtime.kernels import load_libraries

    session = _Session(torch.device(kind, 0) if kind == "cuda" else torch.device(kind), grid)
    before = _state(session.device)
    try:
        load_libraries(session.device)
        started = time.perf_counter()
        session.warm_up(WARM_UP_FRACTION * limit_seconds)
    except RuntimeError as error:
        raise PreflightFailed.of(
            f"the GPU runs no product: {_first_line(error)}.",
            where="gpu",
            hint="End what else uses its memory (nvidia-smi shows it).",
            code="gpu_fails",
        ) from None
    tasks = list(session.tasks())
    timings: list[_Timing] = []
    skipped: list[str] = []
    for index, task in enumerate(tasks):
        left_seconds = limit_seconds - (time.perf_counter() - started)
        if left_seconds <= 0.0:
            skipped += [f"{task.name}: {limit_seconds:g} s were over." for task in tasks[index:]]
            break
        try:
            timings.append(task.time(min(left_seconds / (len(tasks) - index), grid.timing_seconds)))
        except (RuntimeError, NotImplementedError) as error:  # how torch says: not here, or no memory left
            skipped.append(f"{task.name}: {_first_line(error)}.")
        on_progress((index + 1) / len(tasks))
    after = _state(session.device)
    return _measured(session.device, timings, tuple(skipped), before, after, time.perf_counter() - started)


_Timing = GemmTiming | AttentionTiming | StreamTiming | float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    name: str
    time: Callable[[float], _Timing]
    """Takes about the seconds that it is given."""


class _Session:
    """A torch device and what is to be timed on it."""

    def __init__(self, device: torch.device, grid: Grid) -> None:
        self.device, self.grid = device, grid
        self.precision = "bf16" if _has_bf16(device) else "fp16"

    def warm_up(self, limit_seconds: float) -> None:
        from crosszone.runtime import kernels

        m, n, k = max(self.grid.gemms)
        kernels.seconds_per_run(
            kernels.gemm(m, n, k, self.precision, self.device), self.device, limit_seconds=limit_seconds
        )

    def tasks(self) -> Iterator[_Task]:
        """Launches first, then kinds in turn, so that a limit too short leaves some of each."""
        yield _Task(name="kernel launch", time=self._launch)
        kinds = itertools.zip_longest(self._gemm_tasks(), self._attention_tasks(), self._stream_tasks())
        yield from (task for turn in kinds for task in turn if task is not None)

    def _gemm_tasks(self) -> Iterator[_Task]:
        precisions = (self.precision, "fp8") if _has_fp8(self.device) else (self.precision,)
        for (m, n, k), precision in itertools.product(self.grid.gemms, precisions):

            def time_gemm(
                limit_seconds: float, m: int = m, n: int = n, k: int = k, precision: str = precision
            ) -> _Timing:
                from crosszone.runtime import kernels

                run = kernels.gemm(m, n, k, precision, self.device)
                seconds = kernels.seconds_per_run(run, self.device, limit_seconds=limit_seconds)
                return GemmTiming(precision=precision, m=m, n=n, k=k, seconds=seconds)

            yield _Task(name=f"{precision} product {m} x {n} x {k}", time=time_gemm)

    def _attention_tasks(self) -> Iterator[_Task]:
        from crosszone.runtime import kernels

        names = [name for name in kernels.ATTENTION_KERNELS if self.device.type == "cuda" or name != "best"]
        for length, kernel in itertools.product(self.grid.sequence_lengths, names):

            def time_attention(limit_seconds: float, length: int = length, kernel: str = kernel) -> _Timing:
                grid = self.grid
                shape = (max(grid.attention_tokens // length, 1), grid.num_heads, length, grid.head_size)
                passes = kernels.attention(shape, kernel, self.precision, self.device)
                forward, backward = (
                    kernels.seconds_per_run(run, self.device, limit_seconds=limit_seconds / 2.0) for run in passes
                )
                return AttentionTiming(
                    kernel=kernel,
                    batch_size=shape[0],
                    num_heads=shape[1],
                    head_size=shape[3],
                    sequence_length=length,
                    forward_seconds=forward,
                    backward_seconds=backward,
                )

            yield _Task(name=f"{kernel} attention over {length}", time=time_attention)

    def _stream_tasks(self) -> Iterator[_Task]:
        for size, operation in itertools.product(self.grid.stream_tensor_bytes, ("copy", "add")):

            def time_stream(limit_seconds: float, size: int = size, operation: str = operation) -> _Timing:
                from crosszone.runtime import kernels

                run, moved_bytes = kernels.stream(operation, size, self.device)
                seconds = kernels.seconds_per_run(run, self.device, limit_seconds=limit_seconds)
                return StreamTiming(operation=operation, moved_bytes=moved_bytes, seconds=seconds)

            yield _Task(name=f"{operation} of {size} bytes", time=time_stream)

    def _launch(self, limit_seconds: float) -> _Timing:
        from crosszone.runtime import kernels

        return kernels.launch_seconds(self.device, limit_seconds=limit_seconds)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _has_bf16(device: torch.device) -> bool:
    import torch

    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def _has_fp8(device: torch.device) -> bool:
    import torch

    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= FP8_CAPABILITY


def _state(device: torch.device) -> GpuState:
    import torch

    from crosszone.runtime.nvidia_smi import gpu_state

    if device.type != "cuda" or torch.version.cuda is None:
        return GpuState()
    return gpu_state(f"GPU-{torch.cuda.get_device_properties(device).uuid}")


def _measured(
    device: torch.device,
    timings: list[_Timing],
    skipped: tuple[str, ...],
    before: GpuState,
    after: GpuState,
    elapsed_seconds: float,
) -> MeasuredGpu:
    import torch

    sheet = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    return MeasuredGpu(
        name=device.type if sheet is None else sheet.name,
        memory_bytes=None if sheet is None else float(sheet.total_memory),
        num_sms=None if sheet is None else sheet.multi_processor_count,
        torch_version=torch.__version__,
        cuda_version=torch.version.cuda or "",
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        elapsed_seconds=elapsed_seconds,
        before=before,
        after=after,
        gemms=tuple(each for each in timings if isinstance(each, GemmTiming)),
        attentions=tuple(each for each in timings if isinstance(each, AttentionTiming)),
        streams=tuple(each for each in timings if isinstance(each, StreamTiming)),
        kernel_launch_seconds=next((each for each in timings if isinstance(each, float)), None),
        skipped=skipped,
    )
