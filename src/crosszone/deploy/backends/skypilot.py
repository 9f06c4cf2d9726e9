"""SkyPilot: nodes that are rented for the job, one SkyPilot cluster for each zone and node group.

In one cluster ranks meet at its head node. Over several, all are rented first; the first tells the private address of
its head node, and the others are started with it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from crosszone.core.bundle import NO_CHECKPOINTS, TORCHRUN, DeployRequest, Launch
from crosszone.core.cluster import Zone
from crosszone.deploy.entry import ENTRY_PATH
from crosszone.deploy.parts import unfit_for_parts
from crosszone.deploy.rented import VERSION, rented_parts, task, unrentable
from crosszone.deploy.rented_scripts import (
    CLUSTERS_PATH,
    NODE_PATH,
    SETUP_PATH,
    clusters_text,
    node_text,
    run_text,
    setup_text,
    stop_text,
    task_path,
)
from crosszone.deploy.scripts import agent_path, agent_text
from crosszone.deploy.yaml_text import yaml_text
from crosszone.errors import Finding

TITLE = "SkyPilot"
LAUNCHERS = (TORCHRUN,)
ADDRESSES_FROM = None
RUN_PATH, STOP_PATH = "run_training.sh", "stop_training.sh"
REGION = re.compile(r"[a-z0-9]+:[A-Za-z0-9][A-Za-z0-9-]*")
DATA = re.compile(r"/[A-Za-z0-9._/@+=-]+")
"""What SkyPilot's own shell commands take for one path."""
STEPS = {
    "en": (
        f"On a machine with SkyPilot {VERSION} and your providers' credentials (`sky check`), in this folder: "
        f"`./{RUN_PATH}`. **It costs money**: it shows what it rents and asks; `--yes` does not ask.",
        f"Ctrl-C stops following, not the run: `./{RUN_PATH} --follow` goes on. `./{STOP_PATH}` gives the nodes back "
        "with all that is on them; without work they give themselves back after half an hour.",
        "Nodes of several regions must reach each other by their private addresses: on GCP SkyPilot puts them into one "
        "network, elsewhere join the networks first. Logs are fetched into `logs/`.",
    ),
    "zh": (
        f"在装有 SkyPilot {VERSION} 并配置好云厂商凭据(`sky check`)的机器上,于本目录运行:`./{RUN_PATH}`。"
        "**这会产生费用**:它会先列出要租用的节点并询问;`--yes` 表示不再询问。",
        f"按 Ctrl-C 只停止跟踪,不停止训练:`./{RUN_PATH} --follow` 继续跟踪。`./{STOP_PATH}` 归还节点及其上的一切;"
        "节点空闲半小时后自动归还。",
        "不同地域的节点须能以私有地址互通:在 GCP 上 SkyPilot 将其放入同一网络,其他云请先打通网络。日志取回到 `logs/`。",
    ),
}


def problems(launch: Launch) -> Iterator[Finding]:
    """One torchrun per node, all zones from one place, and only what SkyPilot can rent."""
    yield from unfit_for_parts(launch, backend="skypilot")
    if launch.only_zone is not None:
        yield Finding(
            code="one_place",
            where="--zone",
            message="SkyPilot rents all zones from one place, and learns there at which address they meet.",
            hint="Leave --zone out.",
        )
    yield from unrentable(launch)


def lacking(zone: Zone, group_index: int, where: str, request: DeployRequest) -> Iterator[Finding]:
    """Where to rent the nodes of a zone."""
    if not REGION.fullmatch(zone.region or ""):
        hint = "Write region: provider:region, as aws:us-east-1."
        yield _finding(f"{where}.region", "SkyPilot needs to know where to rent.", hint)


def missing(launch: Launch) -> Iterator[Finding]:
    """Paths that rented nodes can have."""
    if launch.data_path is not None and not DATA.fullmatch(launch.data_path):
        yield _finding(
            "--data",
            "SkyPilot copies the file from this machine to the same path of every node, and needs a plain path.",
            "Take an absolute path of letters, digits and . _ / @ + = -.",
        )
    yield from _checkpoints(launch)


def addressed(launch: Launch) -> Launch:
    """Agents without addresses: nodes have none before they are rented."""
    agents = tuple(dataclasses.replace(agent, address=None, interface=None) for agent in launch.agents)
    return dataclasses.replace(launch, agents=agents)


def render(launch: Launch) -> dict[str, str]:
    """A task per part, the programs of every node, and those that rent, follow and give back."""
    return {
        **{task_path(part): yaml_text(task(launch, part)) for part in rented_parts(launch)},
        **{agent_path(agent): agent_text(launch, agent) for agent in launch.started},
        SETUP_PATH: setup_text(launch),
        NODE_PATH: node_text(launch),
        CLUSTERS_PATH: clusters_text(launch),
        RUN_PATH: run_text(launch),
        STOP_PATH: stop_text(),
        ".skyignore": "logs\ncheckpoints\n",
    }


def _checkpoints(launch: Launch) -> Iterator[Finding]:
    """Nodes share no folder, and a bucket mounted as one cannot rename folders, by which a checkpoint becomes whole."""
    folder = launch.checkpoint_folder
    is_ours = launch.argv[0] != ENTRY_PATH
    if launch.num_nodes > 1 and folder not in (None, NO_CHECKPOINTS):
        yield _finding("--checkpoints", "rented nodes share no folder.", "Give none, or take a plan of one node.")
    if launch.num_nodes == 1 and folder is None and is_ours:
        yield _finding(
            "--checkpoints",
            "nodes are given back with all that is on them, checkpoints too.",
            "Give none, or an absolute path on the node to keep them as long as it is rented.",
        )


def _finding(where: str, message: str, hint: str) -> Finding:
    return Finding(code="missing", where=where, message=message, hint=hint)
