"""What a launch leaves alone of the cluster in the job file, in words."""

from __future__ import annotations

from collections import Counter

from crosszone.core.bundle import Launch


def idle_warnings(launch: Launch) -> tuple[str, ...]:
    """One sentence with every node group that does not work whole; none where all do, or where no GPU is asked for."""
    if launch.device == "cpu":
        return ()
    num_ranks: Counter[tuple[int, int]] = Counter()
    for agent in launch.agents:
        num_ranks[agent.zone_index, agent.node_group] += agent.num_ranks
    num_used = Counter(key[:2] for key in {(one.zone_index, one.node_group, one.node) for one in launch.agents})
    parts, num_idle = [], 0
    for zone_index, zone in enumerate(launch.zones):
        for index, group in enumerate(zone.node_groups):
            idle = group.num_gpus - num_ranks[zone_index, index]
            num_nodes = group.num_nodes - num_used[zone_index, index]
            num_idle += idle
            place = f"{zone.name}, node group {index}" if len(zone.node_groups) > 1 else zone.name
            whole = f" ({num_nodes} of {group.num_nodes} nodes whole)" if 0 < num_nodes < group.num_nodes else ""
            parts += [f"{idle} of {group.num_gpus} in {place}{whole}"] if idle else []
    num_gpus = sum(zone.num_gpus for zone in launch.zones)
    return (f"The plan leaves {num_idle} of {num_gpus} GPUs idle: {'; '.join(parts)}.",) if parts else ()
