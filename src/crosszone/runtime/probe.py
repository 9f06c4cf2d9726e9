"""Ranks meet, add up their numbers, time each other, and take one step that is compared with one process.

Run by torchrun, as a module or by its path: `torchrun --standalone --nproc-per-node 4 -m crosszone.runtime.probe`. It
needs torch and, for `--framework deepspeed`, DeepSpeed; nothing else of this package. Rank 0 prints one JSON object.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import torch
from torch import distributed, nn
from torch.cuda.nccl import version as nccl_version

FRAMEWORKS = ("ddp", "fsdp", "deepspeed")
MEET_SECONDS = 120.0
MOST_PAIRS = 28
"""Of ranks that are timed, all pairs of eight; beyond, those with rank 0."""
NUM_PINGS = 10
FIRST_MESSAGE_BYTES = 2**20
MESSAGE_SECONDS = 0.1
"""A large message is to take about so long."""
MOST_MESSAGE_BYTES = 2**26
WIDTHS = (64, 96, 33)
"""Of the model: an odd last one, so that shards are uneven."""
RANK_BATCH_SIZE = 8
LEARNING_RATE = 1e-2
EPSILON = 1e-3
"""Of AdamW: large, so that rounding of small gradients is not blown up to a whole step."""
TOLERANCE = 1e-5
"""A thousandth of the learning rate, which is what a weight changes by; fp32 sums in another order differ by 1e-7."""


def main(arguments: list[str] | None = None) -> int:
    """Probe, and print what was found; 0 where ranks add up and the step is right."""
    parser = argparse.ArgumentParser(prog="python -m crosszone.runtime.probe", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--framework", choices=FRAMEWORKS, default="fsdp")
    parser.add_argument("--zero-stage", type=int, choices=(0, 1, 2, 3), default=2)
    asked = parser.parse_args(arguments)
    device = _device(asked.device)
    backend = "nccl" if asked.device == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=datetime.timedelta(seconds=MEET_SECONDS))
    try:
        found = probe(device, framework=asked.framework, zero_stage=asked.zero_stage)
        if distributed.get_rank() == 0:
            sys.stdout.write(json.dumps({"probe": {"backend": backend, **found}}) + "\n")
            sys.stdout.flush()
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
    return 0 if found["step"]["is_equal"] and set(found["sums"]) == {found["expected_sum"]} else 1


def probe(device: torch.device, *, framework: str, zero_stage: int = 2) -> dict[str, Any]:
    """What all ranks found, the same on each. Ranks have met already."""
    num_ranks = distributed.get_world_size()
    return {
        "num_ranks": num_ranks,
        "expected_sum": num_ranks * (num_ranks - 1) // 2,
        "sums": _from_all(sum_of_ranks(device)),
        "ranks": _from_all(_facts(device)),
        "pairs": list(_pairs(device)),
        "step": step_report(device, framework=framework, zero_stage=zero_stage),
    }


def sum_of_ranks(device: torch.device) -> int:
    """0 + 1 + ... + (n - 1) by an all-reduce: n(n-1)/2 where every rank took part once."""
    total = torch.tensor([distributed.get_rank()], dtype=torch.int64, device=device)
    distributed.all_reduce(total)
    return int(total.item())


def step_report(device: torch.device, *, framework: str, zero_stage: int = 2) -> dict[str, Any]:
    """One step of all ranks, each with its part of a batch, beside one process with all of it."""
    how = f"deepspeed ZeRO {zero_stage}" if framework == "deepspeed" else framework
    before = {name: parameter.detach().clone() for name, parameter in model(device).named_parameters()}
    expected = reference_step(device)
    if framework == "deepspeed":
        got = _deepspeed_step(device, zero_stage)
    else:
        got = _native_step(device, framework)
    difference = max(_largest(got[name] - expected[name]) for name in expected)
    change = min(_largest(got[name] - before[name]) for name in expected)
    worst = max(_from_all(difference))
    least = min(_from_all(change))
    return {
        "how": how,
        "is_equal": worst <= TOLERANCE < least,
        "largest_difference": worst,
        "tolerance": TOLERANCE,
        "least_change": least,
    }


def reference_step(device: torch.device) -> dict[str, torch.Tensor]:
    """Weights after one step of one process with the whole batch."""
    alone = model(device)
    inputs, targets = batch(device)
    optimizer = _optimizer(alone)
    nn.functional.mse_loss(alone(inputs), targets).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {name: parameter.detach() for name, parameter in alone.named_parameters()}


def model(device: torch.device) -> nn.Module:
    """The same on every rank."""
    generator = torch.Generator().manual_seed(1)
    made = nn.Sequential(nn.Linear(WIDTHS[0], WIDTHS[1]), nn.GELU(), nn.Linear(WIDTHS[1], WIDTHS[2]))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / WIDTHS[0] ** 0.5)
    return made.to(device)


def batch(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs, targets) of all ranks, the same on every rank."""
    generator = torch.Generator().manual_seed(2)
    num_samples = RANK_BATCH_SIZE * distributed.get_world_size()
    inputs = torch.randn(num_samples, WIDTHS[0], generator=generator)
    return inputs.to(device), torch.randn(num_samples, WIDTHS[2], generator=generator).to(device)


def _native_step(device: torch.device, framework: str) -> dict[str, torch.Tensor]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor
    from torch.nn.parallel import DistributedDataParallel

    shared = model(device)
    if framework == "fsdp":
        fully_shard(shared, mesh=init_device_mesh(device.type, (distributed.get_world_size(),)))
        called: nn.Module = shared
    else:
        called = DistributedDataParallel(shared)
    optimizer = _optimizer(shared)
    inputs, targets = _own_part(batch(device))
    nn.functional.mse_loss(called(inputs), targets).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    whole = {}
    for name, parameter in shared.named_parameters():
        data = parameter.detach()
        whole[name] = data.full_tensor() if isinstance(data, DTensor) else data
    return whole


def _deepspeed_step(device: torch.device, zero_stage: int) -> dict[str, torch.Tensor]:
    import importlib

    deepspeed = importlib.import_module("deepspeed")
    shared = model(device)
    engine, *_ = deepspeed.initialize(
        model=shared,
        optimizer=_optimizer(shared),
        dist_init_required=False,
        config={
            "train_batch_size": RANK_BATCH_SIZE * distributed.get_world_size(),
            "train_micro_batch_size_per_gpu": RANK_BATCH_SIZE,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": 0.0,  # 1.0 where absent (DeepSpeed 0.19.8, runtime/constants.py)
            "zero_optimization": {"stage": zero_stage},
            "zero_allow_untested_optimizer": True,
        },
    )
    inputs, targets = _own_part(batch(device))
    engine.backward(nn.functional.mse_loss(engine(inputs), targets))
    engine.step()
    with deepspeed.zero.GatheredParameters(list(engine.module.parameters()), enabled=zero_stage == 3):
        return {name: parameter.detach().clone() for name, parameter in engine.module.named_parameters()}


def _optimizer(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), lr=LEARNING_RATE, eps=EPSILON)


def _own_part(whole: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    first = RANK_BATCH_SIZE * distributed.get_rank()
    inputs, targets = (each[first : first + RANK_BATCH_SIZE] for each in whole)
    return inputs, targets


def _largest(values: torch.Tensor) -> float:
    return float(values.abs().max())


def _device(kind: str) -> torch.device:
    if kind == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def _facts(device: torch.device) -> dict[str, Any]:
    is_cuda = device.type == "cuda"
    return {
        "rank": distributed.get_rank(),
        "hostname": socket.gethostname(),
        "python_version": platform.python_version(),
        "torch_version": torch.__version__,
        "cuda_version": torch.version.cuda,
        "nccl_version": ".".join(map(str, nccl_version())) if is_cuda else None,  # type: ignore[no-untyped-call]
        "device": torch.cuda.get_device_name(device) if is_cuda else "cpu",
    }


def _from_all(value: Any) -> list[Any]:
    """What every rank has, by rank."""
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, value)
    return found


def _pairs(device: torch.device) -> Iterator[dict[str, Any]]:
    """Times of each pair, one pair at a time; every rank takes part in telling."""
    num_ranks = distributed.get_world_size()
    pairs = list(combinations(range(num_ranks), 2))
    if len(pairs) > MOST_PAIRS:
        pairs = [(0, other) for other in range(1, num_ranks)]
    for pair in pairs:
        measured = _time_pair(pair, device) if distributed.get_rank() in pair else None
        found = _from_all(measured)[pair[0]]
        yield {"from_rank": pair[0], "to_rank": pair[1], **found}


def _time_pair(pair: tuple[int, int], device: torch.device) -> dict[str, float]:
    """Seconds of a small message and back, and bytes per second of a large one, seen by the first of the two."""
    word = torch.zeros(1, device=device)
    _exchange(pair, word, word)  # connections are made now
    rtt_seconds = statistics.median(_exchange(pair, word, word) for _ in range(NUM_PINGS))
    first = torch.zeros(FIRST_MESSAGE_BYTES, dtype=torch.uint8, device=device)
    seconds = max(_exchange(pair, first, word) - rtt_seconds / 2, 1e-6)
    # Both have to agree on the size; the first of the pair says it.
    wanted = min(int(FIRST_MESSAGE_BYTES * MESSAGE_SECONDS / seconds), MOST_MESSAGE_BYTES)
    size = torch.tensor([max(wanted, 2**16)], dtype=torch.int64, device=device)
    _exchange(pair, size, word)
    message = torch.zeros(int(size.item()), dtype=torch.uint8, device=device)
    seconds = max(_exchange(pair, message, word) - rtt_seconds / 2, 1e-9)
    return {"rtt_seconds": rtt_seconds, "bytes_per_second": message.numel() / seconds}


def _exchange(pair: tuple[int, int], there: torch.Tensor, back: torch.Tensor) -> float:
    """Send `there` from the first to the second and `back` the other way; seconds until both are done."""
    _synchronise(there)
    started = time.perf_counter()
    if distributed.get_rank() == pair[0]:
        distributed.send(there, pair[1])
        distributed.recv(back, pair[1])
    else:
        distributed.recv(there, pair[0])
        distributed.send(back, pair[0])
    _synchronise(back)
    return time.perf_counter() - started


def _synchronise(tensor: torch.Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


if __name__ == "__main__":
    status = main()
    # Without the interpreter's own end, which a late worker of Gloo does not survive (see leaving.py); run by its path,
    # this program finds no other module of the package.
    os._exit(status)
