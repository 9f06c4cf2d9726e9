"""The components of a Slurm job, and what must be known of them: which nodes, asked for how, met where."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from crosszone.core.bundle import Agent, Launch
from crosszone.errors import Finding

SCHEDULER = re.compile(r"slurm( (partition|account|qos|constraint|reservation|time)=[A-Za-z0-9][A-Za-z0-9_.:,+-]*)*")
"""What a zone's `scheduler` may say here: options of sbatch by their long names, values that need no quotes."""
TYING_OPTIONS = ("--partition=", "--constraint=", "--reservation=")
"""Those that say on which nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """Nodes of one node group: a component of the job."""

    agents: tuple[Agent, ...]
    options: tuple[str, ...]
    """Of sbatch, from the zone's `scheduler`."""

    @property
    def place(self) -> tuple[int, int]:
        """(zone, node group), as the job file counts them."""
        return self.agents[0].zone_index, self.agents[0].node_group

    @property
    def node_keys(self) -> tuple[tuple[str, int, int], ...]:
        """Its nodes, in the order in which their ranks come."""
        return tuple(dict.fromkeys(agent.node_key for agent in self.agents))

    @property
    def addresses(self) -> tuple[str, ...] | None:
        """Of its nodes, in that order; None: Slurm chooses the nodes."""
        found = {agent.node_key: agent.address for agent in self.agents}
        known = tuple(address for address in found.values() if address is not None)
        return known if len(known) == len(found) else None

    @property
    def gpus_per_node(self) -> int:
        """As many as the fullest node needs."""
        return 1 + max(gpu for agent in self.agents for gpu in agent.gpus)


def components(launch: Launch) -> list[Component]:
    """One per node group of each zone, in the order of ranks."""
    found: dict[tuple[int, int], list[Agent]] = {}
    for agent in launch.started:
        found.setdefault((agent.zone_index, agent.node_group), []).append(agent)
    return [
        Component(agents=tuple(agents), options=_options(launch.zones[zone].scheduler))
        for (zone, _), agents in found.items()
    ]


def unknown_of_components(launch: Launch) -> Iterator[Finding]:
    """Schedulers that are not Slurm's or not plain; node groups that Slurm could not tell apart; where ranks meet."""
    yield from _strange_schedulers(launch)
    parts = sorted(components(launch), key=lambda part: part.place)
    for index, part in enumerate(parts):
        others = [other.options for other in parts[:index] + parts[index + 1 :]]
        is_tied = part.options not in others and any(option.startswith(TYING_OPTIONS) for option in part.options)
        if others and part.addresses is None and not is_tied:
            zone, group = part.place
            yield _missing(
                f"cluster.zones[{zone}].nodes[{group}].addresses",
                f"the job takes nodes of {len(parts)} groups, and nothing tells Slurm which are this group's.",
                "Write addresses, one per node, or in each zone another scheduler: slurm partition=NAME.",
            )
    if launch.only_zone is not None:
        yield from _unknown_meeting_point(launch)


def is_met_at_run_time(launch: Launch) -> bool:
    """Whether only Slurm knows where some node is; a zone's own job is told by the job file."""
    return launch.only_zone is None and launch.num_nodes > 1 and any(agent.address is None for agent in launch.agents)


def _options(scheduler: str | None) -> tuple[str, ...]:
    return tuple(f"--{word}" for word in (scheduler or "").split(" ")[1:])


def _strange_schedulers(launch: Launch) -> Iterator[Finding]:
    for index in sorted({agent.zone_index for agent in launch.started}):
        scheduler = launch.zones[index].scheduler
        if scheduler is not None and not SCHEDULER.fullmatch(scheduler):
            yield Finding(
                code="invalid",
                where=f"cluster.zones[{index}].scheduler",
                message=f"{json.dumps(scheduler)} is not Slurm, or has options that are not known here.",
                hint='Write slurm, or "slurm partition=NAME account=NAME"; also qos, constraint, reservation, time.',
            )


def _unknown_meeting_point(launch: Launch) -> Iterator[Finding]:
    """Other zones' jobs must know the node of rank 0, and that one the device that reaches them."""
    first = launch.agents[0]
    place = f"cluster.zones[{first.zone_index}].nodes[{first.node_group}]"
    if first.address is None:
        yield _missing(
            f"{place}.addresses",
            "the jobs of all zones need the address of the node of rank 0, to meet there.",
            "Write addresses: [host, ...], one per node, in order.",
        )
    others = [agent.address for agent in launch.agents if agent.node_key != first.node_key]
    if first in launch.started and first.interface is None and others and not any(others):
        yield _missing(
            f"{place}.interface",
            "no address of another node is known, so that the node of rank 0 cannot find the device that reaches it.",
            "Write interface: NAME, or the addresses of the other nodes.",
        )


def _missing(where: str, message: str, hint: str) -> Finding:
    return Finding(code="missing", where=where, message=message, hint=hint)
