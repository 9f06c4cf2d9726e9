"""A program per node, for a person or another tool to start."""

from __future__ import annotations

from crosszone.core.bundle import TORCHRUN, Launch
from crosszone.deploy.scripts import agent_path, agent_text

TITLE = "a script per node"
LAUNCHERS = (TORCHRUN,)
ADDRESSES_FROM = 2
STEPS = {
    "en": (
        "Copy this folder to every node, to the same place.",
        "Start the launch file of every node, in any order, within the time for ranks to meet (see below).",
        "Ctrl-C on any node stops all: the others notice it and end.",
    ),
    "zh": (
        "将本目录复制到每个节点的相同位置。",
        "在每个节点上启动对应的启动文件,顺序不限,但须在会合时限内完成(见下文)。",
        "在任一节点按 Ctrl-C 即停止全部:其他节点发现后会自行结束。",
    ),
}


def render(launch: Launch) -> dict[str, str]:
    """One program per agent, by zone."""
    return {agent_path(agent): agent_text(launch, agent) for agent in launch.started}
