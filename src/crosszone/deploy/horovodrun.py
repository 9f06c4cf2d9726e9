"""horovodrun, the launcher of Horovod: one command on the node of rank 0 starts the ranks of all nodes, by ssh.

Read in Horovod 0.28.1, horovod/runner: `-H` takes host:slots, and ranks count through its hosts in order
(common/util/hosts.py); a remote rank starts in the folder of the same name, with the environment of the command
(gloo_run.py), so that all nodes have the same devices, folders and variables.
"""

import math
import re
from collections.abc import Iterator

from crosszone.core.bundle import HOROVODRUN, Agent, Launch
from crosszone.deploy.checked_text import command
from crosszone.errors import Finding

HOST = re.compile(r"[A-Za-z0-9_.-]+")
"""What `-H` takes before its colon: no IPv6 address."""


def horovodrun(launch: Launch) -> str:
    """The command that starts all ranks, in our order; `$PYTHON` names another interpreter, on every node."""
    hosts = ",".join(f"{agent.address or 'localhost'}:{agent.num_ranks}" for agent in launch.agents)
    interfaces = {agent.interface for agent in launch.agents} - {None}
    options = [
        *("-m", "horovod.runner.launch"),
        "--gloo",
        *("-np", str(launch.world_size)),
        *("-H", hosts),
        *("--start-timeout", str(math.ceil(launch.timeouts.rendezvous_seconds))),
        "--disable-cache",
        *(word for name in sorted(map(str, interfaces)) for word in ("--network-interfaces", name)),
    ]
    return f'exec "${{PYTHON:-python3}}" {command(options)} "${{PYTHON:-python3}}" {command(launch.argv)}'


def starters(launch: Launch) -> tuple[Agent, ...]:
    """The nodes on which something is started: all; with horovodrun that of rank 0, which reaches the others."""
    return launch.started[:1] if launch.launcher == HOROVODRUN else launch.started


def horovodrun_problems(launch: Launch) -> Iterator[Finding]:
    """What one horovodrun command cannot say of the nodes; nothing for other launchers."""
    if launch.launcher != HOROVODRUN:
        return
    if launch.only_zone is not None and launch.started != launch.agents:
        message = "one horovodrun starts the ranks of all zones; ranks of two of them do not meet."
        yield _finding("one_job", "--zone", message, "Leave --zone out.")
    if launch.num_nodes < len(launch.agents):
        message = "horovodrun numbers a node's ranks consecutively, but the plan's do not follow each other."
        yield _finding("rank_order", "plan.rank_order", message, "Take mpi.")
    for agent in launch.agents:
        place = f"cluster.zones[{agent.zone_index}].nodes[{agent.node_group}]"
        if agent.address is not None and not HOST.fullmatch(agent.address):
            message = f"horovodrun takes no IPv6 address, as {agent.address}."
            yield _finding("bad_address", f"{place}.addresses[{agent.node}]", message, "Write a host name or take mpi.")
        if launch.num_nodes > 1 and agent.gpus != tuple(range(agent.num_ranks)):
            message = (
                "horovodrun gives all nodes one CUDA_VISIBLE_DEVICES, but the plan leaves out first GPUs of a node."
            )
            yield _finding("gpu_subset", place, message, "Take mpi.")
    names = {agent.interface for agent in launch.agents}
    if len(names) > 1:
        known = " and ".join(sorted(str(name) for name in names if name is not None))
        message = (
            f"horovodrun gives all nodes one network device, but the job file has {known}, not for all nodes alike."
        )
        yield _finding("interfaces", "cluster.zones", message, "Leave interface out, so that it looks for one.")


def _finding(code: str, where: str, message: str, hint: str) -> Finding:
    return Finding(code=code, where=where, message=f"horovod: {message}", hint=hint)
