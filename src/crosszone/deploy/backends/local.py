"""Processes on one machine: the one that the bundle lies on."""

from __future__ import annotations

from collections.abc import Iterator

from crosszone.core.bundle import HOROVODRUN, TORCHRUN, DeployRequest, Launch
from crosszone.core.problem import Problem
from crosszone.deploy.horovodrun import horovodrun
from crosszone.deploy.places import least_ranks
from crosszone.deploy.scripts import ENVIRONMENT_PATH, STRICT, script, torchrun
from crosszone.errors import Finding

TITLE = "local processes"
LAUNCHERS = (TORCHRUN, HOROVODRUN)
ADDRESSES_FROM = None
RUN_PATH = "run_training.sh"
STEPS = {
    "en": (
        f"On this machine, in this folder: `./{RUN_PATH}`",
        "Ctrl-C stops it.",
        "`crosszone run .` in its place shows measured steps beside predicted ones and keeps each rank's words apart.",
    ),
    "zh": (
        f"在本机、本目录中运行:`./{RUN_PATH}`",
        "按 Ctrl-C 停止。",
        "也可改用 `crosszone run .`:将实测步长与预测并列显示,并分开保存各 rank 的输出。",
    ),
}


def unfit(problem: Problem, request: DeployRequest) -> Iterator[Finding]:
    """More ranks than any machine has GPUs, where the job file's degrees alone ask for them.

    With fewer a search may find that one machine is fastest, and a plan written out may take no more.
    """
    if request.device == "cpu":
        return
    num_ranks = least_ranks(problem.plan)
    most = max(group.gpus_per_node for zone in problem.cluster.zones for group in zone.node_groups)
    if num_ranks > most:
        yield _several_nodes(f"the degrees of plan are {num_ranks} ranks, and no node has more than {most}")


def problems(launch: Launch) -> Iterator[Finding]:
    """Ranks on the GPUs of several nodes, or of a node in several runs, are not one machine's; a zone is no machine."""
    if launch.only_zone is not None and len(launch.zones) > 1:
        yield Finding(
            code="one_job",
            where="--zone",
            message="local starts the ranks of all zones on this machine; those of one zone would wait for the others.",
            hint="Leave --zone out, or take slurm or bare.",
        )
    if launch.device == "cuda" and len(launch.agents) > 1:
        yield _several_nodes(f"the plan puts {launch.world_size} ranks on those of {launch.num_nodes} nodes")


def render(launch: Launch) -> dict[str, str]:
    """One program that starts all ranks."""
    agent = launch.agents[0]
    return {
        RUN_PATH: script(
            f"# Starts all {launch.world_size} ranks on this machine.",
            *STRICT,
            'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"',
            f"# shellcheck source={ENVIRONMENT_PATH}",
            f"source ./{ENVIRONMENT_PATH}",
            *([] if agent.has_whole_node or launch.device == "cpu" else [_first_gpus(launch)]),
            horovodrun(launch) if launch.launcher == HOROVODRUN else torchrun(launch, agent),
        )
    }


def _several_nodes(what: str) -> Finding:
    return Finding(
        code="several_nodes",
        where="--backend",
        message=f"local starts ranks on one machine's GPUs, but {what}.",
        hint="Take ssh or bare; --device cpu tries all ranks out on one machine.",
    )


def _first_gpus(launch: Launch) -> str:
    return "export CUDA_VISIBLE_DEVICES=" + ",".join(str(gpu) for gpu in launch.agents[0].gpus)
