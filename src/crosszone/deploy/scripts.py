"""The pieces that shell scripts are made of. A person's text enters them through `checked_text` only."""

import math
from collections.abc import Iterable, Sequence

from crosszone.core.bundle import TORCHRUN, Agent, Launch
from crosszone.deploy.checked_text import assignment, command
from crosszone.deploy.horovodrun import horovodrun

ENVIRONMENT_PATH = "environment.sh"
HEADER = ("#!/usr/bin/env bash",)
STRICT = ("set -euo pipefail",)
RESTARTS_ON_ONE_NODE = 3
"""Chosen. Over several nodes 0: torchrun's static rendezvous, the only one that keeps our order of ranks, cannot meet a
second time (torch 2.13, distributed/elastic/rendezvous/static_tcp_rendezvous.py)."""
OWN_STORE = "TORCH_DISABLE_SHARE_RDZV_TCP_STORE"
"""Gives every start of the ranks a store of its own. Else a rank that was restarted may find the address of its dead
peer in the one that outlives them (torch 2.13, distributed/elastic/rendezvous/dynamic_rendezvous.py)."""

FOLDER_LINES = (
    *STRICT,
    'cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."',
    f"# shellcheck source={ENVIRONMENT_PATH}",
    f"source ./{ENVIRONMENT_PATH}",
)
INTERFACE_LINES = (
    'if ! peer_ip="$(getent ahosts "$peer" | awk \'NR == 1 { print $1 }\')" || [ -z "$peer_ip" ]; then',
    '    echo "error: this node cannot resolve $peer. Add it to DNS or /etc/hosts." >&2',
    "    exit 4",
    "fi",
    'interface="$(ip -o route get "$peer_ip" | sed -n \'s/.* dev \\([^ ]*\\).*/\\1/p\')"',
    'if [ -z "$interface" ]; then',
    '    echo "error: this node has no route to $peer ($peer_ip)." >&2',
    "    exit 4",
    "fi",
    "export NCCL_SOCKET_IFNAME=\"=$interface\"  # '=': exactly this name",
    'export GLOO_SOCKET_IFNAME="$interface"',
)


def script(*lines: str) -> str:
    """The text of a shell program."""
    return "\n".join((*HEADER, *lines)) + "\n"


def agent_path(agent: Agent) -> str:
    """Where the program of an agent is: by zone, without its name, which may hold anything."""
    return f"launch/zone-{agent.zone_index}/{agent.name}.sh"


def environment_text(launch: Launch) -> str:
    """`environment.sh`: variables of every rank; sourced in the folder of the bundle."""
    lines = [
        "# shellcheck shell=bash",
        "# Variables of every rank; sourced by the launch files, in the folder of the bundle.",
        'export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"',
        *([assignment(OWN_STORE, "1")] if launch.is_standalone else []),
        "# Ranks that torchrun is asked to end may save first.",
        f'export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="${{TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-{launch.timeouts.grace_seconds}}}"',
        *(assignment(name, value) for name, value in launch.environment),
        *_meeting_point(launch),
    ]
    return "\n".join(lines) + "\n"


def _meeting_point(launch: Launch) -> list[str]:
    """torchrun tells its ranks where to meet; horovodrun does not."""
    if launch.launcher == TORCHRUN:
        return []
    address = launch.agents[0].address or "127.0.0.1"
    return [assignment("MASTER_ADDR", address), assignment("MASTER_PORT", str(launch.port))]


def agent_text(launch: Launch, agent: Agent) -> str:
    """The program that starts the ranks of `agent` on its node, and ends with them; with horovodrun those of all."""
    if launch.launcher != TORCHRUN:
        return script(
            f"# Starts all {launch.world_size} ranks. Run it on the node that README.md names.",
            *FOLDER_LINES,
            *(_visible_gpus(launch, agent) if launch.num_nodes == 1 else ()),
            *check_lines(launch),
            horovodrun(launch),
        )
    last = agent.first_rank + agent.num_ranks - 1
    return script(
        f"# Starts ranks {agent.first_rank} to {last} of {launch.world_size}. Run it on the node that README.md names.",
        *node_lines(launch, agent),
        *check_lines(launch),
        torchrun(launch, agent),
    )


def node_lines(launch: Launch, agent: Agent) -> tuple[str, ...]:
    """How the program of an agent begins: in the bundle's folder, with the variables of every rank and of its node."""
    return (*FOLDER_LINES, *_visible_gpus(launch, agent), *_interface(launch, agent))


def check_lines(launch: Launch) -> tuple[str, ...]:
    """Ends the program with 2, and a word why, where ranks would fail at every start."""
    if not launch.check:
        return ()
    return (f'"${{PYTHON:-python3}}" {command([*launch.check, str(launch.world_size)])}',)


def torchrun(launch: Launch, agent: Agent) -> str:
    """The command that starts an agent's ranks; `$PYTHON` names another interpreter."""
    options = (
        ["--standalone", f"--max-restarts={RESTARTS_ON_ONE_NODE}"]
        if launch.is_standalone
        else [
            f"--nnodes={len(launch.agents)}",
            f"--node-rank={agent.index}",
            "--rdzv-backend=static",
            *_master(launch),
            f"--master-port={launch.port}",
            f"--rdzv-conf=timeout={math.ceil(launch.timeouts.rendezvous_seconds)}",
            "--max-restarts=0",
        ]
    )
    return python(["-m", "torch.distributed.run", *options, f"--nproc-per-node={agent.num_ranks}", *launch.argv])


def _master(launch: Launch) -> list[str]:
    """Nothing where only the backend knows it: torchrun then reads PET_MASTER_ADDR (torch 2.13, distributed/run.py)."""
    address = launch.agents[0].address
    return [] if address is None else [f"--master-addr={address}"]


def route_peer(agent: Agent, others: Sequence[Agent]) -> str | None:
    """The address to which the device of a node must lead: one in another zone where there is one; None: none is known.

    A node may reach its neighbours by a device that leads nowhere else, and all of its traffic takes one.
    """
    known = [other for other in others if other.address is not None]
    elsewhere = [other for other in known if other.zone != agent.zone]
    return next((other.address for other in (*elsewhere, *known)), None)


def python(words: Iterable[str]) -> str:
    """A command that takes the place of the shell."""
    return f'exec "${{PYTHON:-python3}}" {command(words)}'


def _visible_gpus(launch: Launch, agent: Agent) -> list[str]:
    if launch.device == "cpu" or agent.has_whole_node:
        return []
    return [assignment("CUDA_VISIBLE_DEVICES", ",".join(str(gpu) for gpu in agent.gpus))]


def _interface(launch: Launch, agent: Agent) -> list[str]:
    others = [other for other in launch.agents if other.node_key != agent.node_key]
    if not others:
        return []
    if agent.interface is not None:
        return [
            assignment("NCCL_SOCKET_IFNAME", f"={agent.interface}"),
            assignment("GLOO_SOCKET_IFNAME", agent.interface),
        ]
    peer = route_peer(agent, others)
    return [] if peer is None else [f"peer={command([peer])}", *INTERFACE_LINES]
