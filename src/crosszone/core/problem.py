"""What the user asks, resolved: every fact in base units, every default filled and named."""

from dataclasses import dataclass

from crosszone.core.calibration import Calibration
from crosszone.core.cluster import Cluster
from crosszone.core.model import Model
from crosszone.core.plan import IdleGpus, Sync
from crosszone.core.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequest:
    """A stage as a person fixes it; None is free."""

    first_layer: int | None = None
    num_layers: int
    zone: str | None = None
    node_group: int | None = None
    tp: int | None = None
    dp: int | None = None
    recompute: str | None = None
    recompute_layers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRequest:
    """Degrees of replicas' own as a person fixes them; None: the plan's."""

    microbatch_size: int | None = None
    dp_shard: int | None = None
    shard: str | None = None
    recompute: str | None = None
    recompute_layers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRequest:
    """Replicas as a person fixes them."""

    num_replicas: int = 1
    zones: tuple[str, ...]
    """Zone of each stage, or one zone for all of them."""
    num_microbatches: int | None = None
    weight: float | None = None
    own: OwnRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What of the plan is fixed; None is searched."""

    tp: int | None = None
    pp: int | None = None
    cp: int | None = None
    ep: int | None = None
    dp: int | None = None
    dp_shard: int | None = None
    num_virtual_stages: int | None = None
    microbatch_size: int | None = None
    schedule: str | None = None
    sequence_parallel: bool | None = None
    shard: str | None = None
    recompute: str | None = None
    recompute_layers: int | None = None
    offload: str | None = None
    rank_order: tuple[str, ...] | None = None
    sync: Sync | None = None
    is_sync_method_open: bool = False
    """`sync` says all but its method."""
    bucket_bytes: float | None = None
    prefetch: int | None = None
    overlap_fraction: float | None = None
    stages: tuple[StageRequest, ...] | None = None
    replicas: tuple[ReplicaRequest, ...] | None = None
    idle_gpus: tuple[IdleGpus, ...] | None = None

    @property
    def leaves_sum_open(self) -> bool:
        """Nobody says by which method zones agree: gradients are summed as the framework does."""
        return self.sync is None or self.is_sync_method_open


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What best means."""

    minimize: str = "time"
    """time | goodput | cost | throughput_per_dollar"""
    budget_dollars: float | None = None
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a plan may not do, and what it may."""

    exclude_zones: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    """Frameworks at hand; empty: all."""
    allow: tuple[str, ...] = ()
    """Changes of the mathematics that are allowed: local_sgd, compression, async, batch_change."""
    max_egress_dollars: float | None = None
    min_replica_batch_size: int | None = None
    """Sequences that every replica consumes in a step, at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One assumption or warning: a value that nobody stated, or something a person should know."""

    where: str
    """Place in the job file, as `cluster.zones[0].nodes[0].network`."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One job file after reading."""

    model: Model
    workload: Workload
    cluster: Cluster
    framework: str | None = None
    plan: PlanRequest = PlanRequest()
    objective: Objective = Objective()
    constraints: Constraints = Constraints()
    calibrations: tuple[Calibration, ...] = ()
    """Learnt from own runs, at most one per GPU; no key of the job file."""
    assumed: tuple[Notice, ...] = ()
    warnings: tuple[Notice, ...] = ()
