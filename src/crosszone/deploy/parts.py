"""Parts of a launch: nodes alike, in the order of their ranks, that a scheduler starts as one group and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from crosszone.core.bundle import Agent, Launch
from crosszone.core.cluster import NodeGroup, Zone
from crosszone.errors import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Agents that follow each other, on nodes of one group."""

    index: int
    zone: Zone
    group: NodeGroup
    agents: tuple[Agent, ...]

    @property
    def num_ranks(self) -> int:
        """Of its fullest agent."""
        return max(agent.num_ranks for agent in self.agents)


def parts(launch: Launch, agents: Sequence[Agent], *, is_even: bool = True) -> tuple[Part, ...]:
    """The parts of `agents`, some or all of the launch's; `is_even`: with as many ranks on every node of a part."""
    runs = groupby(agents, key=lambda one: (one.zone_index, one.node_group, one.num_ranks if is_even else 0))
    return tuple(
        Part(
            index=index,
            zone=launch.zones[key[0]],
            group=launch.zones[key[0]].node_groups[key[1]],
            agents=tuple(run),
        )
        for index, (key, run) in enumerate(runs)
    )


def job_name(launch: Launch) -> str:
    """A name for the job, a DNS label (RFC 1035) of ours: no other bundle has it."""
    return f"cz-{launch.identity}"


def unfit_for_parts(launch: Launch, *, backend: str) -> Iterator[Finding]:
    """Why a scheduler that starts one torchrun on each node cannot start `launch`."""
    if len(launch.agents) > launch.num_nodes:
        yield Finding(
            code="several_agents",
            where="plan",
            message=f"{backend} starts one torchrun on each node, but the plan puts ranks that do not follow each "
            f"other on one node: {len(launch.agents)} launchers on {launch.num_nodes} nodes.",
            hint="Take ssh or bare, or a plan whose stages fill whole nodes.",
        )
