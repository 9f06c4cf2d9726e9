"""The decision: how a model is split, where each part runs and how zones agree."""

from dataclasses import dataclass, replace

SHARDS = ("none", "optimizer", "gradients", "parameters")
"""What data-parallel ranks split among themselves, each including the ones before (ZeRO 0 to 3)."""
RECOMPUTES = ("none", "selective", "full")
SCHEDULES = (
    "gpipe", "1f1b", "interleaved_1f1b", "zb_h1", "zbv", "dualpipe",
    "cross_1f1b", "cross_ud", "cross_ud_sub", "cross_wave",
)  # fmt: skip
RANK_ORDER = ("tp", "cp", "dp", "pp")
SYNC_METHODS = ("flat", "hierarchical", "delayed", "local_sgd", "diloco", "streaming_diloco")
ZONE_ALGORITHMS = ("ring", "tree", "direct")
"""How a sum over zones travels between them."""
STREAMS = ("gradients", "activations", "pseudogradients")
"""What crosses zones and may have a codec; pseudogradients are the change of the weights that an outer step sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sync:
    """How zones agree on the weights."""

    method: str = "hierarchical"
    every: int = 1
    """Inner steps from one agreement to the next."""
    codecs: tuple[tuple[str, str], ...] = ()
    """(stream, codec): gradients, activations or pseudogradients."""
    num_streams: int | None = None
    """Connections that carry the agreement; None: as many as the link has."""
    num_fragments: int | None = None
    """Parts of the model that streaming_diloco exchanges in turn; None: its own default."""
    num_delay_steps: int | None = None
    """Inner steps that an outer exchange may take beside compute; None: the method's default."""
    algorithm: str = "ring"
    """ring | tree | direct"""

    @property
    def packs_activations(self) -> bool:
        """Hidden states cross zones packed, and take less."""
        return dict(self.codecs).get("activations", "none") != "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Layers on one pipeline rank."""

    first_layer: int
    num_layers: int
    zone: str | None
    """None where the replicas keep this stage in different zones."""
    node_group: int | None
    """Index in the zone's node groups; None as for `zone`."""
    tp: int
    dp: int
    recompute: str
    """none, or the plan's."""
    recompute_layers: int | None = None
    """Of each of its virtual stages as many layers, from the first on, are recomputed; None: all, or none at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDegrees:
    """How replicas of one zone divide their work, where zones exchange nothing but local updates."""

    microbatch_size: int
    dp_shard: int
    shard: str
    recompute: str
    recompute_layers: int | None = None
    """Of each virtual stage as many layers, from the first on, are recomputed; None: all, or none at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """Replicas of the model that are placed alike."""

    num_replicas: int
    zones: tuple[str, ...]
    """Zone of each stage, first to last."""
    node_groups: tuple[int, ...]
    """Node group of each stage, as an index in its zone."""
    num_microbatches: int
    """Microbatches that one of these replicas works off in a step."""
    weight: float
    """Share of the step's tokens that these replicas consume together; over all replicas the sum is 1."""
    own: OwnDegrees | None = None
    """What these replicas do otherwise than the plan says; None: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleGpus:
    """GPUs of the cluster that the plan leaves alone."""

    zone: str
    node_group: int
    num_gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Degrees, order of work, sharding, placement. `world_size` = tp*cp*pp*dp; `ep` divides inside dp*cp*tp."""

    framework: str
    tp: int
    pp: int
    cp: int
    ep: int
    dp: int
    dp_shard: int
    """Ranks that share one copy of what `shard` names; divides `dp`. 1 where `shard` is none."""
    num_virtual_stages: int
    microbatch_size: int
    schedule: str
    sequence_parallel: bool
    shard: str
    recompute: str
    offload: str = "none"
    """none | optimizer | parameters: what waits in host memory."""
    rank_order: tuple[str, ...] = RANK_ORDER
    sync: Sync = Sync()
    bucket_bytes: float | None = None
    prefetch: int | None = None
    """Layers whose sharded weights are gathered ahead; None: as the framework does; 0: none."""
    overlap_fraction: float | None = None
    """A person's own share of the agreement on gradients that compute hides; None: as computed."""
    stages: tuple[Stage, ...]
    replicas: tuple[Replica, ...]
    idle_gpus: tuple[IdleGpus, ...] = ()

    @property
    def world_size(self) -> int:
        """Ranks that work."""
        return self.tp * self.cp * self.pp * self.dp

    @property
    def num_sequences(self) -> int:
        """That all replicas consume in a step."""
        return sum(self.sequences_of(replica) for replica in self.replicas)

    @property
    def fewest_sequences(self) -> int:
        """That the replica with fewest consumes in a step."""
        return min(self.sequences_of(replica) // replica.num_replicas for replica in self.replicas)

    @property
    def has_own_degrees(self) -> bool:
        """Some replicas divide their work otherwise than the plan says."""
        return any(replica.own is not None for replica in self.replicas)

    def sequences_of(self, replica: Replica) -> int:
        """That the replicas of one group consume together in a step."""
        return replica.num_replicas * replica.num_microbatches * self.degrees_of(replica).microbatch_size

    def degrees_of(self, replica: Replica) -> OwnDegrees:
        """How the replicas of one group divide their work: their own way, or the plan's."""
        return replica.own or OwnDegrees(
            microbatch_size=self.microbatch_size,
            dp_shard=self.dp_shard,
            shard=self.shard,
            recompute=self.recompute,
            recompute_layers=self.recompute_layers,
        )

    @property
    def recompute_layers(self) -> int | None:
        """Layers of each virtual stage that the stage with most of them recomputes; None: all, or none at all."""
        stages = [stage for stage in self.stages if stage.recompute != RECOMPUTES[0]]
        if all(stage.recompute_layers is None for stage in stages):
            return None
        return max(stage.recompute_layers or -(-stage.num_layers // self.num_virtual_stages) for stage in stages)

    @property
    def zones(self) -> tuple[str, ...]:
        """Zones that work, in order of first use."""
        return tuple(dict.fromkeys(zone for replica in self.replicas for zone in replica.zones))

    @property
    def zone_axis(self) -> str:
        """What crosses zones: none, pp, dp, or dp+pp."""
        crosses_pp = any(len(set(replica.zones)) > 1 for replica in self.replicas)
        crosses_dp = any(len({replica.zones[stage] for replica in self.replicas}) > 1 for stage in range(self.pp))
        return "+".join(axis for axis, crosses in (("dp", crosses_dp), ("pp", crosses_pp)) if crosses) or "none"


def zone_plans(plan: Plan) -> tuple[Plan, ...]:
    """What each zone runs where zones step by themselves: the plan of its replicas alone, in order of first use.

    Replicas lie in one zone each, and those of a zone divide their work alike.
    """
    found = []
    for zone in plan.zones:
        replicas = tuple(replica for replica in plan.replicas if replica.zones[0] == zone)
        own, dp = plan.degrees_of(replicas[0]), sum(replica.num_replicas for replica in replicas)
        part = sum(replica.weight for replica in replicas)
        found.append(
            replace(
                plan,
                dp=dp,
                dp_shard=own.dp_shard,
                microbatch_size=own.microbatch_size,
                shard=own.shard,
                recompute=own.recompute,
                stages=tuple(_own_stage(stage, replicas, own, dp, index) for index, stage in enumerate(plan.stages)),
                replicas=tuple(replace(replica, own=None, weight=replica.weight / part) for replica in replicas),
                idle_gpus=tuple(idle for idle in plan.idle_gpus if idle.zone == zone),
            )
        )
    return tuple(found)


def _own_stage(stage: Stage, replicas: tuple[Replica, ...], own: OwnDegrees, dp: int, index: int) -> Stage:
    """The stage as the replicas of one zone have it."""
    groups = {replica.node_groups[index] for replica in replicas}
    if replicas[0].own is not None:
        stage = replace(stage, recompute=own.recompute, recompute_layers=own.recompute_layers)
    node_group = groups.pop() if len(groups) == 1 else None
    return replace(stage, zone=replicas[0].zones[index], node_group=node_group, dp=dp)


def recompute_words(plan: Plan) -> str:
    """What a plan recomputes: none, selective, full, or "3 to 4 of 10 layers a stage" where it is not every layer."""
    counts = [_num_recomputed(stage, plan.num_virtual_stages) for stage in plan.stages]
    held = [stage.num_layers for stage in plan.stages]
    if plan.recompute == RECOMPUTES[0] or counts == held:
        return plan.recompute
    again, layers = (" to ".join(str(one) for one in sorted({min(each), max(each)})) for each in (counts, held))
    return f"{again} of {layers} layers" + (" a stage" if plan.pp > 1 else "")


def _num_recomputed(stage: Stage, num_virtual_stages: int) -> int:
    if stage.recompute == RECOMPUTES[0]:
        return 0
    if stage.recompute_layers is None:
        return stage.num_layers
    return min(stage.recompute_layers * num_virtual_stages, stage.num_layers)
