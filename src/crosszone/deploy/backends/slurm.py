"""One Slurm job: a component per node group, a task per node, on each node torchrun with the planner's node rank.

Slurm chooses nodes inside a group, or is told their names where the job file has addresses. Read for this: sbatch(1),
srun(1) of Slurm 22.05, whose programs the tests run, and SchedMD/slurm, doc/html/heterogeneous_jobs.shtml.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from crosszone.core.bundle import TORCHRUN, Launch
from crosszone.deploy.checked_text import command
from crosszone.deploy.scripts import INTERFACE_LINES, STRICT, agent_path, agent_text, script
from crosszone.deploy.slurm_components import Component, components, is_met_at_run_time, unknown_of_components
from crosszone.deploy.slurm_scripts import (
    NODE_LINES,
    NODES_LINES,
    RESULT_LINES,
    RUN_LINES,
    START_LINES,
    STOP_LINES,
    SUBMITTED_LINES,
    WAIT_LINES,
)
from crosszone.errors import Finding

TITLE = "Slurm"
LAUNCHERS = (TORCHRUN,)
ADDRESSES_FROM = None
RUN_PATH, STOP_PATH = "run_training.sh", "stop_training.sh"
JOB_PATH, NODE_PATH, NODES_PATH = "launch/slurm/job.sh", "launch/slurm/node.sh", "launch/slurm/nodes.sh"
MOST_SIGNAL_SECONDS = 65535
"""sbatch(1), --signal."""
SIGNAL_MARGIN_SECONDS = 60
"""Slurm may send the signal so much earlier than it is told: sbatch(1), --signal."""
QUEUE_SECONDS = 86400.0
"""Chosen: a zone's queue may hold its job for a day."""
STEPS = {
    "en": (
        "Put this folder where all nodes of the job see it at the same path, a shared file system.",
        f"On a login node, in this folder: `./{RUN_PATH}`. What follows it is passed to sbatch, for the nodes of all "
        "zones: `--wait` ends with the job and its exit code, `--test-only` submits nothing, `--partition=name`.",
        "`logs/slurm-JOB.log` tells of the job, `logs/agent-N.log` of the ranks of a node. A job that Slurm puts back "
        "into its queue starts again.",
        f"`./{STOP_PATH}` stops the run: it is asked to end, then forced to. Ranks that save when they are asked to "
        "are also asked before the job's time is up.",
    ),
    "zh": (
        "将本目录放到作业的所有节点都能以相同路径看到的共享文件系统上。",
        f"在登录节点上,于本目录运行:`./{RUN_PATH}`。其后的参数传给 sbatch,对所有 zone 的节点有效:"
        "`--wait` 等到作业结束并返回其退出码,`--test-only` 不提交,`--partition=name` 指定分区。",
        "`logs/slurm-JOB.log` 记录作业,`logs/agent-N.log` 记录各节点的 rank。被 Slurm 重新排队的作业会再次启动。",
        f"`./{STOP_PATH}` 停止训练:先要求其退出,再强制结束。若训练程序在被要求退出时会保存,则时限将到时也会收到要求。",
    ),
}
PIECE_STEPS = {
    "en": (
        "Start the pieces of all zones, each on its own Slurm. Jobs that start first hold their nodes and wait for the "
        "others, as long as said below; start the zone with the longest queue first.",
    ),
    "zh": (
        "启动所有 zone 的部分,每个 zone 用自己的 Slurm。先开始的作业占住节点等待其他作业,时限见下文;"
        "请先启动排队最久的 zone。",
    ),
}
"""For bundles that start one zone of several."""


def addressed(launch: Launch) -> Launch:
    """The launch of one zone waits for ranks of the others as long as their queues may take."""
    if launch.only_zone is None:
        return launch
    return replace(launch, timeouts=replace(launch.timeouts, rendezvous_seconds=QUEUE_SECONDS))


def missing(launch: Launch) -> Iterator[Finding]:
    """What Slurm, or the jobs of other zones, must be told and the job file does not say."""
    return unknown_of_components(launch)


def render(launch: Launch) -> dict[str, str]:
    """The job, what it runs on every node, and the programs that submit and stop it."""
    here = (*STRICT, 'cd -- "$(dirname -- "${BASH_SOURCE[0]}")"', f"# shellcheck source={NODES_PATH}")
    source = f"source ./{NODES_PATH}"
    seconds = launch.timeouts.grace_seconds + SIGNAL_MARGIN_SECONDS
    # node.sh says which GPUs, from those that Slurm gave
    agents = {agent_path(agent): agent_text(launch, replace(agent, has_whole_node=True)) for agent in launch.started}
    return {
        **agents,
        NODES_PATH: _nodes(launch),
        JOB_PATH: script(*_job(launch)),
        NODE_PATH: script(*_node(launch)),
        RUN_PATH: script("# Submits the job; arguments go to sbatch.", *here, source, *_run(launch)),
        STOP_PATH: script(
            "# Asks the ranks to end; after a while, ends the job.",
            *here[:2],
            *(line.replace("{seconds}", str(seconds)) for line in STOP_LINES),
        ),
    }


def _job(launch: Launch) -> list[str]:
    """What sbatch reads and runs, on the first node of the first component."""
    parts = components(launch)
    seconds = launch.timeouts.grace_seconds
    lines = [
        "# The job. ./run_training.sh submits it, in the folder of the bundle.",
        f"#SBATCH --job-name=crosszone-{launch.identity}",
        "#SBATCH --output=logs/slurm-%j.log --open-mode=append --requeue",
    ]
    if launch.saves_when_stopped:
        early_seconds = min(seconds + SIGNAL_MARGIN_SECONDS, MOST_SIGNAL_SECONDS)
        lines.append(f"#SBATCH --signal=TERM@{early_seconds}")
    for index, part in enumerate(parts):
        lines += [] if index == 0 else ["#SBATCH hetjob"]
        lines.append("#SBATCH " + " ".join(_asked(launch, part)))
    groups = f"--het-group=0-{len(parts) - 1} " if len(parts) > 1 else ""
    return [
        *lines,
        *STRICT,
        'cd -- "$SLURM_SUBMIT_DIR"',
        f"# shellcheck source={NODES_PATH}",
        f"source ./{NODES_PATH}",
        'rm -f "logs/ended-$SLURM_JOB_ID"',
        'names="$(node_names)"',
        'CROSSZONE_NODES="$(tr "\\n" " " <<<"$names")"',
        "export CROSSZONE_NODES",
        *_meeting_point(launch),
        "code=0",
        f"srun {groups}--ntasks-per-node=1 --mpi=none --cpu-bind=none --kill-on-bad-exit=1 --export=ALL \\",
        f"    {NODE_PATH} || code=$?",
        *RESULT_LINES,
    ]


def _asked(launch: Launch, part: Component) -> list[str]:
    """Options of a component: whole nodes, as the prediction has them."""
    asked = [f"--nodes={len(part.node_keys)}", "--ntasks-per-node=1", "--exclusive", "--mem=0"]
    if launch.device == "cuda":
        asked.append(f"--gpus-per-node={part.gpus_per_node}")
    return asked + list(part.options)


def _meeting_point(launch: Launch) -> list[str]:
    if not is_met_at_run_time(launch):
        return []
    return [
        'CROSSZONE_FIRST="$(slurm_address "$(sed -n 1p <<<"$names")")"',
        f'CROSSZONE_SECOND="$(slurm_address "$(sed -n {_second(launch) + 1}p <<<"$names")")"',
        "export CROSSZONE_FIRST CROSSZONE_SECOND",
        *(['export PET_MASTER_ADDR="$CROSSZONE_FIRST"'] if launch.agents[0].address is None else []),
    ]


def _node(launch: Launch) -> list[str]:
    """What srun runs on every node: it starts that node's launch files."""
    chosen = ['    gpus="$(chosen_gpus "${gpus_of[agent]}")"', '    export CUDA_VISIBLE_DEVICES="$gpus"']
    return [
        "# Starts the ranks of this node; srun runs it once on each.",
        *STRICT,
        'cd -- "$SLURM_SUBMIT_DIR"',
        f"# shellcheck source={NODES_PATH}",
        f"source ./{NODES_PATH}",
        *NODE_LINES,
        *_device_of_the_route(launch),
        *START_LINES,
        *(chosen if launch.device == "cuda" else []),
        '    follow "$agent" &',
        '    pids+=("$!")',
        *WAIT_LINES,
    ]


def _device_of_the_route(launch: Launch) -> list[str]:
    """For nodes whose device the job file does not name; launch files that know better say so."""
    if not is_met_at_run_time(launch):
        return []
    zones = _zones_of_nodes(launch)
    is_single = len(set(zones)) == 1
    away = [index for index, zone in enumerate(zones) if (index == 0 if is_single else zone == zones[0])]
    return [
        'peer="$CROSSZONE_FIRST"',
        "# Nodes of the first zone look for the way to another one, as all others look for the way to the first.",
        f'case "$index" in {" | ".join(map(str, away))}) peer="$CROSSZONE_SECOND" ;; esac',
        *INTERFACE_LINES,
    ]


def _second(launch: Launch) -> int:
    """The number of the node that those of the first zone look for: the first of another zone, or the second of all."""
    zones = _zones_of_nodes(launch)
    return next((index for index, zone in enumerate(zones) if zone != zones[0]), 1)


def _zones_of_nodes(launch: Launch) -> list[str]:
    """By number, as `node_names` has them."""
    return [key[0] for part in components(launch) for key in part.node_keys]


def _run(launch: Launch) -> list[str]:
    """Checks, the names of the nodes that the job file gives, and the submission.

    sbatch hands few options of a component on to the next ones, and --partition is none of them.
    """
    named, told = [], []
    for index, part in enumerate(components(launch)):
        if part.addresses is not None:
            named.append(f'names_{index}="$(slurm_names {command(part.addresses)} | paste -sd ,)"')
        told.append('"$@"' if part.addresses is None else f'"$@" --nodelist="$names_{index}"')
    return [*RUN_LINES, *named, f"sbatch --parsable {' : '.join(told)} {JOB_PATH} |", *SUBMITTED_LINES]


def _nodes(launch: Launch) -> str:
    """Who is where; sourced by the other programs."""
    parts = components(launch)
    keys = [key for part in parts for key in part.node_keys]
    lines = [
        "# shellcheck shell=bash disable=SC2034",
        "# Launch files in the order of ranks, the number of the node that runs each, and its GPUs of those given.",
        f"programs=({command(agent_path(agent) for agent in launch.started)})",
        f"names=({command(agent.name for agent in launch.started)})",
        f"node_of=({command(str(keys.index(agent.node_key)) for agent in launch.started)})",
        f"gpus_of=({command(' '.join(map(str, agent.gpus)) for agent in launch.started)})",
        "# The Slurm names of the nodes, by number.",
        "node_names() {",
        "    " + " && ".join(_names(part, index, len(parts)) for index, part in enumerate(parts)),
        "}",
        *NODES_LINES,
    ]
    return "\n".join(lines) + "\n"


def _names(part: Component, index: int, num_parts: int) -> str:
    if part.addresses is not None:
        return f"slurm_names {command(part.addresses)}"
    variable = "SLURM_JOB_NODELIST" + (f"_HET_GROUP_{index}" if num_parts > 1 else "")
    return f'scontrol show hostnames "${variable}"'
