"""Variables of every rank. Only such as torch, NCCL and Gloo read; each beside where that is written."""

import math

from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.core.timeouts import Timeouts

MOST_SOCKETS = 64
MOST_THREADS = 16
"""Of NCCL_SOCKET_NTHREADS * NCCL_NSOCKS_PERTHREAD, and of the first: NVIDIA, NCCL User Guide, environment variables."""
USUAL_THREADS = 4
"""Chosen: NCCL's own default on Google Cloud; more threads take CPUs from the trainer."""


def environment(problem: Problem, plan: Plan, limits: Timeouts, device: str) -> tuple[tuple[str, str], ...]:
    """Variables of every rank, in the order in which they are set.

    Source: PyTorch, ProcessGroupNCCL environment variables; NVIDIA, NCCL User Guide, environment variables.
    """
    if device == "cpu":
        return ()
    found = [("TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC", str(math.ceil(limits.watchdog_seconds)))]
    if len(plan.zones) > 1:
        # One communicator spans the zones, and InfiniBand does not reach from one to another.
        found.append(("NCCL_IB_DISABLE", "1"))
        streams = link_streams(problem, plan)
        if streams is not None and streams > 1:
            threads = min(streams, USUAL_THREADS)
            sockets = min(math.ceil(streams / threads), MOST_SOCKETS // threads)
            found += [("NCCL_SOCKET_NTHREADS", str(threads)), ("NCCL_NSOCKS_PERTHREAD", str(sockets))]
    return tuple(found)


def link_streams(problem: Problem, plan: Plan) -> int | None:
    """Connections that the agreement between zones shall use; None where nobody says."""
    if plan.sync.num_streams is not None:
        return plan.sync.num_streams
    zones = plan.zones
    counts = [
        link.num_streams
        for link in problem.cluster.links
        if link.from_zone in zones and link.to_zone in zones and link.num_streams is not None
    ]
    return max(counts, default=None)


def environment_warnings(problem: Problem, plan: Plan, device: str) -> tuple[str, ...]:
    """What a person should know of these variables."""
    if device == "cpu" or len(plan.zones) == 1:
        return ()
    found = ["InfiniBand is off in NCCL (NCCL_IB_DISABLE=1) inside zones too: one communicator spans zones, over TCP."]
    if plan.sync.method == "hierarchical" and plan.dp_shard in (1, plan.dp):
        found.append(
            "The plan agrees once per zone (hierarchical), but this framework sums over all ranks with NCCL's own "
            "algorithm: links may carry more than predicted. `crosszone whatif JOB --set plan.sync.method=flat` shows "
            "the step of a flat sum."
        )
    streams = link_streams(problem, plan)
    if streams is not None and streams > MOST_SOCKETS:
        found.append(f"NCCL opens {MOST_SOCKETS} sockets at most, but {streams} streams are asked for.")
    return tuple(found)
