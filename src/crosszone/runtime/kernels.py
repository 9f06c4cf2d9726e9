"""Kernels to time, and the clock: CUDA events on a GPU, the processor's own elsewhere."""

import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

Run = Callable[[], object]

NUM_REPEATS = 5
"""Of which the median counts."""
ATTENTION_KERNELS = {"flash2": SDPBackend.FLASH_ATTENTION, "best": SDPBackend.CUDNN_ATTENTION}
"""PyTorch's own build of FlashAttention-2, and the vendor's library, as in the catalog's facts of frameworks."""
FP8_FACTOR = 0.1
"""Scale of fp8 operands: normal numbers times this and its inverse stay far from overflow."""
LAUNCH_BATCH = 200
"""Tiny kernels between two looks at the clock."""


def load_libraries(device: torch.device) -> None:
    """Run one product and one backward: what torch loads then, for seconds, belongs to no timing."""
    matrix = torch.ones(64, 64, device=device, requires_grad=True)
    torch.autograd.grad((matrix @ matrix).sum(), matrix)


def seconds_per_run(run: Run, device: torch.device, *, limit_seconds: float) -> float:
    """Median over `NUM_REPEATS` batches of the time of one `run`, taking about `limit_seconds` in all.

    One run warms up (libraries pick their kernel then), one says how many fill a batch. A batch has no gap between
    runs, so that short kernels hide their launch.
    """
    run()
    once = _batch_seconds(run, device, 1)
    num_runs = max(1, int(limit_seconds / NUM_REPEATS / max(once, 1e-7)))
    num_repeats = NUM_REPEATS if once * NUM_REPEATS <= limit_seconds else 1
    return statistics.median(_batch_seconds(run, device, num_runs) / num_runs for _ in range(num_repeats))


def launch_seconds(device: torch.device, *, limit_seconds: float) -> float:
    """Time from one tiny kernel to the next, issued one by one: the CPU's or the GPU's, whichever is longer."""
    tiny = torch.zeros(16, device=device)

    def batch() -> None:
        for _ in range(LAUNCH_BATCH):
            tiny.add_(1.0)

    return seconds_per_run(batch, device, limit_seconds=limit_seconds) / LAUNCH_BATCH


def gemm(m: int, n: int, k: int, precision: str, device: torch.device) -> Run:
    """One (m x k)(k x n) product of normal numbers; zeros would draw less power and run at higher clocks.

    The right operand is stored as a layer's weight is, n x k. fp8 (e4m3, one scale per tensor) accumulates in fp32
    without shortcuts, as two of a layer's three products do in NVIDIA's Transformer Engine.
    """
    if precision != "fp8":
        dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        left = torch.randn(m, k, device=device, dtype=dtype)
        right = torch.randn(n, k, device=device, dtype=dtype).t()
        out = torch.empty(m, n, device=device, dtype=dtype)
        return lambda: torch.mm(left, right, out=out)
    narrow = [(torch.randn(rows, k, device=device) / FP8_FACTOR).to(torch.float8_e4m3fn) for rows in (m, n)]
    scale = torch.full((), FP8_FACTOR, device=device)
    return lambda: torch._scaled_mm(
        narrow[0], narrow[1].t(), scale, scale, out_dtype=torch.bfloat16, use_fast_accum=False
    )


def attention(shape: tuple[int, int, int, int], kernel: str, precision: str, device: torch.device) -> tuple[Run, Run]:
    """Causal attention forward, and its backward alone; `shape` is (batch, heads, sequence, head size).

    Errors: RuntimeError where this kernel cannot run here.
    """
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    query, key, value = (torch.randn(shape, device=device, dtype=dtype, requires_grad=True) for _ in range(3))

    def forward() -> torch.Tensor:
        with sdpa_kernel(ATTENTION_KERNELS[kernel]):
            return torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)

    out = forward()
    gradient = torch.randn_like(out)
    return forward, lambda: torch.autograd.grad(out, (query, key, value), gradient, retain_graph=True)


def stream(operation: str, tensor_bytes: int, device: torch.device) -> tuple[Run, float]:
    """A kernel that only moves memory, and the bytes that it reads and writes."""
    shape, dtype = (tensor_bytes // 2,), torch.bfloat16
    left, out = (torch.ones(shape, device=device, dtype=dtype) for _ in range(2))
    if operation == "copy":
        return lambda: out.copy_(left), 2.0 * left.nbytes
    right = torch.ones(shape, device=device, dtype=dtype)
    return lambda: torch.add(left, right, out=out), 3.0 * left.nbytes


def _batch_seconds(run: Run, device: torch.device, num_runs: int) -> float:
    if device.type != "cuda":
        started = time.perf_counter()
        for _ in range(num_runs):
            run()
        return time.perf_counter() - started
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda.synchronize(device)
    first.record()
    for _ in range(num_runs):
        run()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)) / 1000.0  # torch gives milliseconds
