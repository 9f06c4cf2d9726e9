"""What the trainer is told: everything that a run needs, resolved by the planner, nothing left to guess."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from crosszone.core.codec import from_json
from crosszone.core.model import Model
from crosszone.core.plan import RECOMPUTES, SHARDS
from crosszone.core.timeouts import Timeouts, timeout_problems
from crosszone.core.workload import Dtypes
from crosszone.errors import Finding, SpecError

FRAMEWORKS = ("ddp", "fsdp", "deepspeed", "horovod")
REPLICATING = ("ddp", "horovod")
FSDP_SHARDS = ("gradients", "parameters")
AVERAGING = {"deepspeed": "DeepSpeed", "horovod": "Horovod"}
"""They give each rank the same weight, whatever it consumed."""
DEVICES = ("cpu", "cuda")
BACKENDS = ("gloo", "nccl")
OFFLOADS = ("none", "parameters")
ATTENTIONS = ("flash", "unfused")
TOKEN_BYTES = (2, 4)
ZONE_CODECS = ("fp16", "bf16", "int8_block", "int4")
LOCAL_FRAMEWORKS = ("ddp", "fsdp")
"""Under which zones may step by themselves, and divide their work each in its own way."""
COMPUTE_DTYPES = ("fp32", "tf32", "bf16", "fp16")
"""Number formats of matrix products under our trainer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainData:
    """Where tokens come from."""

    path: str | None
    """File of little-endian unsigned integers, one token after the other, without a header; None: synthetic tokens."""
    token_bytes: int = 2
    """Bytes of one token in the file: 2 or 4."""
    num_samples: int | None = None
    """Sequences of one epoch of synthetic tokens; None with a file, which has as many as fit in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptimizer:
    """AdamW and its learning rate: linear warm-up, then a cosine down to a fraction."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    """Of matrices; norms and biases have none."""
    max_gradient_norm: float | None = 1.0
    """None: gradients are not clipped."""
    num_warmup_steps: int = 0
    num_decay_steps: int | None = None
    """Steps from the warm-up's end to the lowest rate; None: the rate stays."""
    final_learning_rate_fraction: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainLocal:
    """Zones that step by themselves, and agree on the weights every so many steps."""

    every: int
    """Steps from one agreement on a part of the model to the next."""
    num_fragments: int = 1
    """Parts of the model, exchanged in turn."""
    num_delay_steps: int = 0
    """Steps that zones take beside an exchange before what they agree on is applied."""
    outer_learning_rate: float = 1.0
    outer_momentum: float = 0.0
    """Nesterov's; with a rate of 1 and none, zones take the mean of their weights."""
    own_fraction: float = 0.0
    """Of a zone's own weights that stays where what was agreed on comes late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOwn:
    """What the ranks of one zone do otherwise where zones step by themselves; fields as in `TrainConfig`."""

    microbatch_size: int
    dp_shard: int
    shard: str
    recompute: str
    recomputed_layers: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainCheckpoint:
    """Where and how often state is saved."""

    folder: str
    """Seen by all ranks: a shared file system where there are several nodes."""
    every_steps: int
    num_kept: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One run. Paths are relative to the file that this is read from."""

    schema_version: int = 1
    fingerprint: str = ""
    """Of the prediction that the run is compared with."""
    framework: str
    """ddp | fsdp | deepspeed | horovod"""
    device: str
    """cpu | cuda"""
    backend: str
    """gloo | nccl"""
    model: Model | None = None
    model_config: str | None = None
    """Path to a Hugging Face config.json, in place of `model`."""
    seed: int = 0
    num_steps: int
    sequence_length: int
    microbatch_size: int
    rank_microbatches: tuple[int, ...]
    """Microbatches that each data-parallel rank works off in a step, by rank; there are as many as ranks of a stage."""
    rank_zones: tuple[int, ...] = ()
    """Zone of each rank, as a number, where gradients are added up once per zone (ddp) or in each zone alone (`local`);
    empty: over all at once."""
    zone_codec: str | None = None
    """fp16 | bf16 | int8_block | int4: what zones send each other; None: sums as they are added up, changes of the
    weights in fp32."""
    local: TrainLocal | None = None
    """Zones step by themselves (ddp, fsdp); None: all ranks take every step together."""
    own: tuple[TrainOwn, ...] = ()
    """What the ranks of each zone do otherwise, by its number (`local`); empty: nothing."""
    is_elastic: bool = False
    """Whether another number of ranks may go on with the same microbatches, dealt evenly."""
    stage_layers: tuple[int, ...] = ()
    """Layers of each pipeline stage (deepspeed), whose ranks follow each other; empty: one stage holds all."""
    dp_shard: int = 1
    """Ranks that share one copy of what `shard` names (fsdp); consecutive ranks, or those of a zone with `local`."""
    shard: str = "none"
    offload: str = "none"
    recompute: str = "none"
    recomputed_layers: tuple[int, ...] | None = None
    """Indices of the layers that full recomputation is for; None: all."""
    attention: str = "flash"
    dtypes: Dtypes
    bucket_bytes: float | None = None
    """Gradients that DDP sends together; None: its default."""
    prefetch: int | None = None
    """Layers that FSDP gathers ahead; None: as it does by itself."""
    deepspeed_config: str | None = None
    """Path to ds_config.json (deepspeed)."""
    optimizer: TrainOptimizer
    data: TrainData
    checkpoint: TrainCheckpoint | None = None
    identity_every_steps: int | None = None
    """Steps between two checks that replicas are bit-identical; None: never."""
    log_folder: str = "logs"
    timeouts: Timeouts

    @property
    def num_microbatches(self) -> int:
        """Microbatches of one step, all ranks together."""
        return sum(self.rank_microbatches)

    @property
    def global_batch_size(self) -> int:
        """Sequences of one step."""
        return sum(self.rank_sequences(self.rank_microbatches))

    @property
    def global_batch_tokens(self) -> int:
        """Tokens of one step."""
        return self.global_batch_size * self.sequence_length

    def rank_sequences(self, rank_microbatches: Sequence[int]) -> tuple[int, ...]:
        """Sequences of one step of each data-parallel rank that works off so many microbatches."""
        sizes = (self.as_of_rank(rank).microbatch_size for rank in range(len(rank_microbatches)))
        return tuple(count * size for count, size in zip(rank_microbatches, sizes, strict=True))

    def as_of_rank(self, rank: int) -> "TrainConfig":
        """The same with what the ranks of its zone do otherwise."""
        if not self.own:
            return self
        own = self.own[self.rank_zones[rank]]
        return replace(self, **{field.name: getattr(own, field.name) for field in fields(own)})

    @property
    def zone_ranks(self) -> tuple[tuple[int, ...], ...]:
        """Ranks that take every step together: those of each zone with `local`, else all."""
        ranks = range(len(self.rank_microbatches))
        if self.local is None:
            return (tuple(ranks),)
        zones = dict.fromkeys(self.rank_zones)
        return tuple(tuple(rank for rank in ranks if self.rank_zones[rank] == zone) for zone in zones)


def train_config(value: Any) -> TrainConfig:
    """The configuration that a JSON value holds.

    Errors: SpecError with all that is wrong.
    """
    config = from_json(TrainConfig, value)
    findings = tuple(train_problems(config))
    if findings:
        raise SpecError(*findings)
    return config


def train_problems(config: TrainConfig) -> Iterator[Finding]:
    """Everything in `config` that cannot be trained."""
    found = [*_choices(config), *_counts(config), *_combinations(config)]
    for zone, own in enumerate(config.own):
        alone = replace(config, own=(), **{field.name: getattr(own, field.name) for field in fields(own)})
        shape = _shape_problems(alone, num_ranks=config.rank_zones.count(zone))
        each = (*_choices(alone), *_counts(alone), *shape)
        found += (replace(one, where=f"own[{zone}].{one.where}") for one in each if one not in found)
    yield from found
    yield from _own_problems(config)
    yield from timeout_problems(config.timeouts)


def learning_rate(optimizer: TrainOptimizer, step: int) -> float:
    """Of step `step`, 0 first: up to the full rate over the warm-up, then the cosine of Loshchilov and Hutter 2017.

    rate * (f + (1 - f) * (1 + cos(pi * x)) / 2) with f the final fraction and x the part of the decay that is over.
    """
    full = optimizer.learning_rate
    if step < optimizer.num_warmup_steps:
        return full * (step + 1) / optimizer.num_warmup_steps
    if optimizer.num_decay_steps is None:
        return full
    over = min((step - optimizer.num_warmup_steps) / optimizer.num_decay_steps, 1.0)
    final = optimizer.final_learning_rate_fraction
    return full * (final + (1.0 - final) * (1.0 + math.cos(math.pi * over)) / 2.0)


def dealt_microbatches(config: TrainConfig, num_ranks: int) -> tuple[int, ...]:
    """Microbatches of each of `num_ranks` ranks.

    Errors: SpecError where the configuration is for another number of ranks and must not be dealt anew.
    """
    if num_ranks == len(config.rank_microbatches):
        return config.rank_microbatches
    if not config.is_elastic:
        raise SpecError.of(
            f"{num_ranks} ranks run, but the configuration is for {len(config.rank_microbatches)}.",
            where="rank_microbatches",
            hint="Start as many ranks as it lists, or set is_elastic to deal the microbatches anew.",
            code="wrong_world_size",
        )
    each, more = divmod(config.num_microbatches, num_ranks)
    if each == 0 or (more and config.framework != "ddp"):
        raise SpecError.of(
            f"{config.num_microbatches} microbatches cannot be dealt to {num_ranks} ranks of {config.framework}.",
            where="rank_microbatches",
            hint="Start a number of ranks that divides it.",
            code="wrong_world_size",
        )
    return tuple(each + (rank < more) for rank in range(num_ranks))


def _choices(config: TrainConfig) -> Iterator[Finding]:
    words = {
        "framework": FRAMEWORKS,
        "device": DEVICES,
        "backend": BACKENDS,
        "shard": SHARDS,
        "offload": OFFLOADS if config.framework != "deepspeed" else (*OFFLOADS, "optimizer"),
        "recompute": RECOMPUTES,
        "attention": ATTENTIONS,
    }
    for name, choices in words.items():
        value = getattr(config, name)
        if value not in choices:
            yield _finding(name, f'"{value}" is none of {", ".join(choices)}.')
    if config.data.token_bytes not in TOKEN_BYTES:
        yield _finding("data.token_bytes", f"{config.data.token_bytes} is neither 2 nor 4.")


def _counts(config: TrainConfig) -> Iterator[Finding]:
    counts = {
        "num_steps": config.num_steps,
        "sequence_length": config.sequence_length,
        "microbatch_size": config.microbatch_size,
        "dp_shard": config.dp_shard,
        "optimizer.num_decay_steps": config.optimizer.num_decay_steps,
        "data.num_samples": config.data.num_samples,
        "identity_every_steps": config.identity_every_steps,
        **{f"rank_microbatches[{rank}]": count for rank, count in enumerate(config.rank_microbatches)},
        **{f"stage_layers[{stage}]": count for stage, count in enumerate(config.stage_layers)},
    }
    if config.checkpoint is not None:
        counts["checkpoint.every_steps"] = config.checkpoint.every_steps
        counts["checkpoint.num_kept"] = config.checkpoint.num_kept
    for place, count in counts.items():
        if count is not None and count < 1:
            yield _finding(place, f"{count} is below 1.")
    if not config.rank_microbatches:
        yield _finding("rank_microbatches", "there is no rank.", "List the microbatches of each rank.")


def _most_positions(model: Model | None) -> int | None:
    """Tokens for which a table of positions has rows; None where positions are computed, or the model is elsewhere."""
    if model is None or model.position != "learned":
        return None
    return model.max_positions or model.num_position_rows


def _combinations(config: TrainConfig) -> Iterator[Finding]:
    counts = config.rank_microbatches
    if (config.model is None) == (config.model_config is None):
        yield _finding("model", "one of model and model_config is needed, and only one.")
    most = _most_positions(config.model)
    if most is not None and config.sequence_length > most:
        yield _finding(
            "sequence_length",
            f"{config.sequence_length} tokens, but the model has learned {most} positions.",
            f"Take {most} tokens or fewer, or a model whose positions are computed.",
        )
    if (config.data.path is None) == (config.data.num_samples is None):
        yield _finding("data", "one of path and num_samples is needed, and only one.")
    if config.device == "cpu" and config.backend == "nccl":
        yield _finding("backend", "nccl needs GPUs, but device is cpu.", "Take gloo.")
    if not config.own:
        yield from _shape_problems(config, num_ranks=len(counts))
    yield from _zone_problems(config)
    yield from _group_problems(config)
    if config.framework in AVERAGING and len(set(counts)) > 1:
        title = AVERAGING[config.framework]
        yield _finding("rank_microbatches", f"{title} averages over ranks, so all need the same number.", "Take ddp.")
    if (config.framework == "deepspeed") != (config.deepspeed_config is not None):
        yield _finding("deepspeed_config", "is needed with deepspeed, and only with it.")
    if config.stage_layers and config.framework != "deepspeed":
        yield _finding(
            "stage_layers", f"{config.framework} has no pipeline.", "Leave stage_layers out, or take deepspeed."
        )
    if config.stage_layers and config.shard not in ("none", "optimizer"):
        yield _finding("shard", f"a pipeline shards the optimizer's states at most, not {config.shard}.")
    if config.dtypes.compute not in COMPUTE_DTYPES:
        yield _finding("dtypes.compute", f"{config.dtypes.compute} is not trained here.", "Take bf16.")


def _shape_problems(config: TrainConfig, *, num_ranks: int) -> Iterator[Finding]:
    """What one of `num_ranks` that take every step together does with its part of the model, and cannot."""
    if config.framework in REPLICATING and (config.shard, config.dp_shard, config.offload) != ("none", 1, "none"):
        yield _finding(
            "shard", f"{config.framework} neither shards nor offloads, but shard is {config.shard}.", "Take fsdp."
        )
    if config.framework == "fsdp" and num_ranks > 1 and config.shard not in FSDP_SHARDS:
        yield _finding("shard", f"fsdp shards gradients or parameters, not {config.shard}.", "Take ddp for none.")
    if config.recomputed_layers is not None and config.recompute != "full":
        yield _finding(
            "recomputed_layers",
            f"names {len(config.recomputed_layers)} layers, but recompute is {config.recompute}.",
            "Set recompute to full, or leave recomputed_layers out.",
        )


def _group_problems(config: TrainConfig) -> Iterator[Finding]:
    """Ranks that cannot share a copy, zone by zone where each steps by itself."""
    counts = config.rank_microbatches
    for ranks in _zone_ranks(config) if config.framework == "fsdp" else ():
        size = config.as_of_rank(ranks[0]).dp_shard if ranks and not tuple(_own_problems(config)) else config.dp_shard
        groups = [ranks[first : first + size] for first in range(0, len(ranks), size)] if size >= 1 else []
        if size >= 1 and len(ranks) % size:
            yield _finding("dp_shard", f"{size} does not divide {len(ranks)} ranks{_of_a_zone(config)}.")
            return
        if any(len({counts[rank] for rank in group}) > 1 for group in groups):
            yield _finding(
                "rank_microbatches",
                f"ranks of one shard group of {size} meet in every microbatch, but have different numbers.",
                "Give all ranks of a group the same number.",
            )
            return


def _own_problems(config: TrainConfig) -> Iterator[Finding]:
    num_zones = max(config.rank_zones, default=-1) + 1
    if config.own and config.local is None:
        yield _finding("own", "all ranks take every step together, and divide their work alike.", "Leave it out.")
    if config.own and len(config.own) != num_zones:
        yield _finding("own", f"{len(config.own)} entries for {num_zones} zones.", "Give one for each, or none.")


def _zone_problems(config: TrainConfig) -> Iterator[Finding]:
    num_zones, counts = len(config.rank_zones), config.rank_microbatches
    if num_zones and config.framework != "ddp" and config.local is None:
        yield _finding("rank_zones", f"{config.framework} adds up gradients in groups of its own.", "Leave it out.")
    if num_zones not in (0, len(counts)):
        yield _finding("rank_zones", f"{num_zones} zones for {len(counts)} ranks.", "Give one for each, or none.")
    if config.zone_codec is not None and not num_zones:
        yield _finding("zone_codec", "nothing is sent between zones without rank_zones.", "Leave it out.")
    if config.zone_codec not in (None, *ZONE_CODECS):
        yield _finding("zone_codec", f'"{config.zone_codec}" is none of {", ".join(ZONE_CODECS)}.')
    if config.local is not None:
        yield from _local_problems(config, config.local)


def _local_problems(config: TrainConfig, local: TrainLocal) -> Iterator[Finding]:
    if config.framework not in LOCAL_FRAMEWORKS:
        yield _finding("local", f"{config.framework} takes every step with all ranks.", "Take ddp or fsdp.")
    if len(set(config.rank_zones)) < 2:
        yield _finding("local", f"rank_zones names {len(set(config.rank_zones))} zones.", "Give two or more.")
    if config.is_elastic:
        yield _finding("is_elastic", "with local nobody knows the zone of another number of ranks.", "Set it to false.")
    for name, count in (("every", local.every), ("num_fragments", local.num_fragments)):
        if count < 1:
            yield _finding(f"local.{name}", f"{count} is below 1.")
    most = None if config.model is None else config.model.num_layers
    if most is not None and local.num_fragments > most:
        yield _finding("local.num_fragments", f"{local.num_fragments} parts, but the model has {most} layers.")
    if not 0 <= local.num_delay_steps <= local.every:
        yield _finding(
            "local.num_delay_steps",
            f"{local.num_delay_steps} is not from 0 to {local.every}, after which the next exchange begins.",
        )
    if not local.outer_learning_rate > 0.0:
        yield _finding("local.outer_learning_rate", f"{local.outer_learning_rate:g} is not above 0.")
    for name, share in (("outer_momentum", local.outer_momentum), ("own_fraction", local.own_fraction)):
        if not 0.0 <= share < 1.0:
            yield _finding(f"local.{name}", f"{share:g} is not from 0 to below 1.")


def _zone_ranks(config: TrainConfig) -> tuple[tuple[int, ...], ...]:
    """`zone_ranks`, where each rank has a zone; else as if there were none."""
    if len(config.rank_zones) == len(config.rank_microbatches):
        return config.zone_ranks
    return (tuple(range(len(config.rank_microbatches))),)


def _of_a_zone(config: TrainConfig) -> str:
    return "" if config.local is None else " of a zone"


def _finding(where: str, message: str, hint: str = "") -> Finding:
    return Finding(code="invalid", where=where, message=message, hint=hint)
