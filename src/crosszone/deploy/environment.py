"""Variables of every rank. Only such as torch, NCCL and Gloo read; each beside where that is written."""

import math

from crosszone.core.bundle import Launch
from crosszone.core.plan import Plan
from crosszone.core.problem import Problem
from crosszone.core.timeouts import Timeouts

MOST_SOCKETS = 64
"""Of NCCL_SOCKET_NTHREADS * NCCL_NSOCKS_PERTHREAD: NVIDIA, NCCL User Guide, environment variables."""
USUAL_THREADS = 4
"""Chosen: NCCL's own default on Google Cloud; more threads take CPUs from the trainer."""

SOCKETS_ONLY = (("NCCL_NET", "Socket"), ("NCCL_IB_DISABLE", "1"))
"""Between zones there is TCP. Each process takes for a communicator the first network that its own node has: a
plug-in's (of EFA or HPC-X), InfiniBand, then sockets (NVIDIA/nccl, src/plugin/net.cc, ncclNetInit), and ranks that took
different ones wait for ever (NVIDIA/nccl#234). NCCL_NET names one for all; NCCL_IB_DISABLE alone leaves plug-ins on."""


def environment(problem: Problem, plan: Plan, limits: Timeouts, device: str) -> tuple[tuple[str, str], ...]:
    """Variables of every rank, in the order in which they are set.

    Source: PyTorch, ProcessGroupNCCL environment variables; NVIDIA, NCCL User Guide, environment variables.
    """
    if device == "cpu":
        return ()
    found = [("TORCH_NCCL_HEARTBEAT_TIMEOUT_SEC", str(math.ceil(limits.watchdog_seconds)))]
    if len(plan.zones) > 1:
        found += SOCKETS_ONLY
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


def environment_warnings(problem: Problem, plan: Plan, launch: Launch) -> tuple[str, ...]:
    """What a person should know of these variables."""
    if launch.device == "cpu" or len(plan.zones) == 1:
        return ()
    found = []
    wide = [zone for zone in plan.zones if len({one.node_key for one in launch.agents if one.zone == zone}) > 1]
    if wide:
        found.append(
            f"NCCL uses sockets (NCCL_NET=Socket) between the nodes of {' and '.join(wide)} too, and no InfiniBand, "
            "which the prediction takes where the job file has it: NCCL's variables hold for all communicators of a "
            "process, and some span zones, over TCP."
        )
    streams = link_streams(problem, plan)
    if streams is not None and streams > MOST_SOCKETS:
        found.append(f"NCCL opens {MOST_SOCKETS} sockets at most, but {streams} streams are asked for.")
    return tuple(found)
