"""Who is where, as files that programs and people read: the nodes with their ranks, and the hostfile."""

from typing import Any

from crosszone.core.bundle import Launch
from crosszone.deploy.yaml_text import yaml_text


def cluster_text(launch: Launch) -> str:
    """`configs/cluster_config.yaml`: every launcher with its zone, address, GPUs and ranks."""
    return yaml_text({"world_size": launch.world_size, "port": launch.port, "agents": _agents(launch)})


def ddp_text(launch: Launch) -> str:
    """`pytorch_ddp_config.yaml`: what `init_process_group` is told on each node."""
    address = launch.agents[0].address or "localhost"
    is_known = launch.agents[0].address is not None or len(launch.agents) == 1
    return yaml_text(
        {
            "backend": "nccl" if launch.device == "cuda" else "gloo",
            "init_method": f"tcp://{address}:{launch.port}" if is_known else "env://",
            "world_size": launch.world_size,
            "nodes": _agents(launch),
        }
    )


def hostfile_text(launch: Launch) -> str | None:
    """`hostfile`: one node per line with its number of ranks; None where an address is unknown."""
    slots: dict[str, int] = {}
    for agent in launch.agents:
        if agent.address is None:
            return None
        slots[agent.address] = slots.get(agent.address, 0) + agent.num_ranks
    return "".join(f"{address} slots={count}\n" for address, count in slots.items())


def _agents(launch: Launch) -> list[dict[str, Any]]:
    return [
        {
            "name": agent.name,
            "zone": agent.zone,
            "node_group": agent.node_group,
            "node": agent.node,
            "address": agent.address,
            "node_rank": agent.index,
            "gpus": list(agent.gpus),
            "ranks": list(range(agent.first_rank, agent.first_rank + agent.num_ranks)),
        }
        for agent in launch.agents
    ]
