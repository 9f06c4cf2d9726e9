"""Which rank of a plan is on which GPU, zone by zone and node by node."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPlace:
    """One GPU of a node with its place in the grid of ranks; all None where the plan leaves it idle."""

    gpu: int
    """Index in the node."""
    rank: int | None = None
    dp: int | None = None
    pp: int | None = None
    """The pipeline stage, too."""
    tp: int | None = None
    cp: int | None = None
    ep: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlace:
    """One node of a zone."""

    node_group: int
    """Index in the zone's node groups."""
    node: int
    """Index in the node group."""
    gpu: str
    """Catalog name of its GPUs."""
    address: str | None
    """None where the job file does not say."""
    gpus: tuple[GpuPlace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePlace:
    """What one zone holds of the plan."""

    zone: str
    num_nodes: int
    num_gpus: int
    num_working_gpus: int
    stages: tuple[int, ...]
    """Pipeline stages that have ranks here."""
    gpus: tuple[str, ...]
    """Catalog names of its GPUs, each once."""
    nodes: tuple[NodePlace, ...]
    """Empty where another zone was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankMap:
    """The whole cluster, in the order of its zones."""

    schema_version: int = 1
    world_size: int
    zones: tuple[ZonePlace, ...]
