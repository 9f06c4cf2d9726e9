"""The forecast for one plan. Field names are the public JSON names; a measurement carries the same ones."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One number that went into a term, as it stands in the formula."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One addend of the step. The exposed seconds of all terms add up to `step_seconds`."""

    name: str
    exposed_seconds: float
    overlapped_seconds: float
    formula: str
    source: str
    inputs: tuple[Input, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMemory:
    """Peak memory of one rank of a stage at its fullest."""

    stage: int
    zone: str
    gpu: str
    num_layers: int
    weight_bytes: float
    gradient_bytes: float
    optimizer_bytes: float
    activation_bytes: float
    buffer_bytes: float
    overhead_bytes: float
    """CUDA context, libraries, communicators, and what the allocator cannot use."""
    total_bytes: float
    """The sum of the above: what the rank needs."""
    allocated_bytes: float
    """As PyTorch counts its tensors (max_memory_allocated): the total without overhead."""
    reserved_bytes: float
    """As PyTorch counts what its allocator holds (max_memory_reserved), free blocks that it keeps included."""
    device_bytes: float
    """As nvidia-smi shows the process in a run; above the total as long as there is room to keep free blocks."""
    capacity_bytes: float

    @property
    def filled_fraction(self) -> float:
        """Of the capacity, by what the rank needs; above 1 where it does not fit."""
        return self.total_bytes / self.capacity_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Whether the plan fits, and why."""

    peak_bytes: float
    """Of the rank that comes nearest to its capacity."""
    capacity_bytes: float
    """Of that rank's GPU."""
    fits: bool
    verdict: str
    """fits | tight | does not fit"""
    stages: tuple[StageMemory, ...]

    @property
    def fullest(self) -> StageMemory:
        """The stage whose rank comes nearest to its capacity."""
        return max(self.stages, key=lambda stage: stage.filled_fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkGroup:
    """What one kind of group sends over a link."""

    group: str
    step_bytes: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One direction of a zone link during a step."""

    from_zone: str
    to_zone: str
    step_bytes: float
    bytes_per_second: float
    """Achieved by all flows of the job together."""
    raw_seconds: float
    exposed_seconds: float
    utilization_fraction: float
    dollars_per_hour: float | None
    groups: tuple[LinkGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunicationGroup:
    """What one kind of parallel group sends in a step."""

    group: str
    exposed_seconds: float
    overlapped_seconds: float
    zone_bytes: float
    """Over all zone links, each direction counted."""
    terms: tuple[str, ...]
    """Of the step, that these seconds are the sum of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Communication:
    """All that ranks send each other in a step: the sums of terms and links."""

    exposed_seconds: float
    overlapped_seconds: float
    zone_bytes: float
    """Over all zone links, each direction counted."""
    zone_dollars_per_hour: float | None
    """Egress of all zone links; None where a price is unknown."""
    groups: tuple[CommunicationGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How zones agree, and what that does."""

    method: str
    every: int
    """Inner steps from one agreement to the next."""
    num_delay_steps: int
    """Inner steps that an exchange may take beside compute."""
    num_fragments: int
    """Parts of the model that are exchanged in turn."""
    codecs: tuple[tuple[str, str], ...]
    """(stream, codec) of what crosses zones."""
    exchange_bytes: float
    """On each link that is used, in one whole exchange."""
    exchange_seconds: float
    """Of one whole exchange, nothing hidden; packing and an outer step among them."""
    mean_bytes_per_second: float
    """On each link that is used, over a mean inner step."""
    peak_bytes_per_second: float
    """While zones exchange: as fast as the link goes, or as compute beside it asks for."""
    held_bytes: float
    """What the fullest rank keeps for it on its GPU."""
    changes_mathematics: bool
    """Whether training goes another way than on one cluster."""
    effect: str
    """What is known of its effect on convergence, each with its source."""
    source: str
    """Of its cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Range that holds the measured step with probability `level`."""

    level: float
    low_seconds: float
    high_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Wall time of the whole training with failures; None where the failure rate is unknown."""

    p50_seconds: float | None
    p90_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """What interrupts the training, and what is done about it. None is unknown."""

    mtbf_seconds: float | None
    """Mean time between failures of the job: of any node or zone link that it needs."""
    checkpoint_bytes: float
    storage_bytes: float
    """Of all checkpoints that are kept."""
    checkpoint_write_seconds: float
    """Until a checkpoint is safe."""
    checkpoint_seconds: float
    """For which training waits."""
    checkpoint_every_seconds: float | None
    """Work between two checkpoints."""
    restart_seconds: float
    """From a failure until training goes on, the checkpoint read; the mean over what fails."""
    expected_num_failures: float | None
    """Over the whole training."""
    failure_probability: float | None
    """That anything fails during the whole training."""
    link_failure_probability: float | None
    """That a zone link fails during the whole training; 0 where the plan uses none, unknown without a link's `mtbf`."""
    evaluation_seconds: float | None
    """Over the whole training."""
    data_wait_seconds: float | None
    """Over the whole training, for data that links bring too slowly."""
    wall_seconds: float | None
    """Mean wall time of the whole training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Where the money of the whole training goes. None is unknown."""

    working_gpu_dollars: float | None
    """Of `gpu_dollars`: GPUs that the plan uses."""
    idle_gpu_dollars: float | None
    """Of `gpu_dollars`: the others in its zones."""
    overhead_dollars: float | None
    """All those GPUs while they save, restart, repeat lost work, evaluate or wait for data: beyond `gpu_dollars`."""
    step_egress_dollars: float | None
    """Of `egress_dollars`: what crosses in each step."""
    dataset_egress_dollars: float | None
    """Of `egress_dollars`: data that other zones read."""
    storage_dollars: float | None
    """Of checkpoints; None without a price."""
    total_dollars: float | None
    """Of all this; storage only where it has a price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Everything that is known of a plan before it runs."""

    schema_version: int = 1
    fingerprint: str
    framework: str
    num_gpus: int
    num_parameters: int
    num_active_parameters: int
    num_microbatches: int
    """Microbatches of the busiest replica in one step."""
    global_batch_tokens: int
    step_seconds: float
    tokens_per_second: float
    tokens_per_second_per_gpu: float
    model_flop_per_second_per_gpu: float
    mfu: float
    hfu: float
    compute_fraction: float
    exposed_communication_fraction: float
    bubble_fraction: float
    other_fraction: float
    cross_zone_penalty_ratio: float
    """Step over the step of the same plan with every zone link as fast as the network inside a zone."""
    goodput_fraction: float | None
    terms: tuple[Term, ...]
    memory: Memory
    host_memory_bytes: float | None
    links: tuple[Link, ...]
    intervals: tuple[Interval, ...]
    train_seconds: float | None
    finish: Finish
    gpu_dollars: float | None
    egress_dollars: float | None
    energy_joules: float | None
    sync: Agreement | None = None
    """None where nothing that zones agree on crosses between them."""
    reliability: Reliability | None = None
    costs: Costs | None = None
    communication: Communication | None = None
    """None in what was saved before it was told."""
    assumed: tuple[str, ...]
    warnings: tuple[str, ...]
