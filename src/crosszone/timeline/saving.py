"""What a checkpoint of a training takes, and a restart from it."""

import math
from dataclasses import dataclass

from crosszone import units
from crosszone.core.cluster import NodeGroup
from crosszone.core.problem import Problem
from crosszone.cost.memory import state_bytes
from crosszone.cost.parameters import num_parameters
from crosszone.cost.reliability import checkpoint_bytes, checkpoint_write_seconds
from crosszone.timeline.threats import Footprint

RESTART_SECONDS = 600.0
"""To notice and diagnose a failure, at most, on more than 10,000 GPUs (Jiang et al. 2024, "MegaScale", NSDI, sec. 6.3).
Stands in, marked assumed, where nobody wrote `restart`."""
NODE_BYTES_PER_SECOND = 0.65e9
"""To and from storage: 2 TB/s sustained for a cluster of 24,000 GPUs in 3,000 nodes (Grattafiori et al. 2024, sec.
3.3.1). Stands in, marked assumed, where nobody wrote `checkpoint.bandwidth`."""
NUM_KEPT = 2
"""The newest checkpoint, and the one that is being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What a checkpoint takes."""

    size_bytes: float
    write_seconds: float
    blocked_seconds: float
    restart_seconds: float
    assumed: tuple[str, ...]


def saving_of(problem: Problem, footprint: Footprint) -> Saving:
    """All nodes that share one copy of the state write it together; the slowest kind decides how fast."""
    workload, checkpoint = problem.workload, problem.workload.checkpoint
    size_of = state_bytes(workload, weights_are_master=False)
    size = float(
        checkpoint_bytes(
            num_parameters=num_parameters(problem.model), parameter_bytes=size_of.weight + size_of.optimizer
        )
    )
    groups = [(problem.cluster.zone(zone).node_groups[index], count) for zone, index, count in footprint.num_gpus]
    num_nodes = sum(math.ceil(count / group.gpus_per_node) for group, count in groups) / footprint.num_copies
    write = float(
        checkpoint_write_seconds(
            size_bytes=size,
            num_nodes=max(1.0, num_nodes),
            node_bytes_per_second=checkpoint.node_bytes_per_second or NODE_BYTES_PER_SECOND,
        )
    )
    blocked = min(write, _copy_seconds(groups, size, footprint.num_copies)) if checkpoint.is_async else write
    restart = (RESTART_SECONDS if workload.restart_seconds is None else workload.restart_seconds) + write
    # What is still being written when a failure comes is lost: the state before it is read.
    restart += write - blocked if checkpoint.is_async else 0.0
    return Saving(
        size_bytes=size,
        write_seconds=write,
        blocked_seconds=blocked,
        restart_seconds=restart,
        assumed=_saving_notes(problem),
    )


def _copy_seconds(groups: list[tuple[NodeGroup, int]], size_bytes: float, num_copies: int) -> float:
    """To copy a GPU's share of the state to host memory; infinite where the rate is unknown."""
    share = size_bytes * num_copies / sum(count for _, count in groups)
    rates = [group.gpu.pcie_bytes_per_second for group, _ in groups]
    return max(share / rate if rate else math.inf for rate in rates)


def _saving_notes(problem: Problem) -> tuple[str, ...]:
    workload, found = problem.workload, []
    if workload.checkpoint.node_bytes_per_second is None:
        rate = units.format_bytes(NODE_BYTES_PER_SECOND)
        found.append(f"workload.checkpoint.bandwidth: {rate}/s of each node, as of the storage of Llama 3 (2024).")
    if workload.restart_seconds is None:
        time = units.format_seconds(RESTART_SECONDS)
        found.append(
            f"workload.restart: {time}, which MegaScale (2024) needs at most to notice and diagnose a failure."
        )
    return tuple(found)
