"""The job file as people write it. The text under a field is its description in the schema and on screen.

A field that is None was not written; `resolve` fills what follows from the catalog and from other fields.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from crosszone.spec import quantities as q
from crosszone.spec.job_model import InlineModel as InlineModel
from crosszone.spec.job_model import ModelChoice, Section
from crosszone.spec.job_model import SizedModel as SizedModel

MAX_ZONES = 128
MAX_NODE_GROUPS = 256


class Dtypes(Section):
    """Number formats one by one; what is absent follows from `precision`."""

    compute: q.Precision | None = None
    """What matrix multiplications compute in; `precision` where absent."""
    weights: q.Dtype | None = None
    """Weights that forward and backward read."""
    activations: q.Dtype | None = None
    """Activations kept for the backward pass and sent between stages."""
    gradients: q.Dtype | None = None
    """Gradients as they are accumulated."""
    gradient_reduction: q.Dtype | None = None
    """Gradients as they are sent."""
    master_weights: q.MasterDtype | None = None
    """Weights that the optimizer updates; none: the weights themselves."""
    moments: q.Dtype | None = None
    """Moments of the optimizer."""


class Dataset(Section):
    """What is read."""

    tokens: q.Tokens | None = None
    """Tokens of one epoch."""
    size: q.Size | None = None
    """Bytes on disk; where absent, two or four bytes a token by the size of the vocabulary, marked assumed."""
    zone: q.Name | None = None
    """Zone that holds it, from which the others read it in small parts, ahead of the steps; where absent, each zone has
    it."""


class Checkpoint(Section):
    """How training state is saved: weights and the optimizer's states."""

    every: q.ChosenDuration | None = None
    """Work between two checkpoints; auto, which is also the default: the interval that loses least (Daly 2006)."""
    bandwidth: q.Bandwidth | None = None
    """At which one node writes checkpoints, and reads them; 0.65 GB/s where absent, marked assumed."""
    keep: q.SmallCount | None = None
    """How many are kept; 2 where absent, the newest and the one that is being written."""
    is_async: q.Truth | None = Field(default=None, alias="async")
    """Whether training goes on while one is written, and waits only for the copy to host memory; false where absent."""
    monthly_price: q.StoragePrice | None = None
    """Price of storage for 30 days; unknown where absent."""


class Evaluation(Section):
    """A pause of the training in which the model is judged."""

    every: q.SmallCount
    """Steps from one to the next."""
    duration: q.Duration
    """How long one takes."""


class Workload(Section):
    """What is trained, independent of how it is split."""

    sequence_length: q.SequenceLength
    """Tokens of one sequence."""
    global_batch_size: q.BatchSize
    """Sequences that all zones consume in one (inner) step; tokens and accumulation follow."""
    precision: q.Precision | None = None
    """Shorthand for the dtypes: bf16 is compute, weights and activations in bf16, the rest in fp32. Where absent:
    bf16 if every GPU has it, else fp16, else fp32, marked assumed."""
    dtypes: Dtypes | None = None
    """Number formats one by one, over `precision`."""
    optimizer: q.Optimizer | None = None
    """Where absent adamw, marked assumed."""
    train_tokens: q.Tokens | None = None
    """Tokens of the whole training; without it there are no totals."""
    epochs: q.Epochs | None = None
    """Passes over `dataset.tokens`, in place of `train_tokens`."""
    dataset: Dataset | None = None
    """What is read."""
    trainable: q.Trainable | None = None
    """Which weights learn: all, which is also the default, or lora."""
    attention: q.Attention | None = None
    """Kernel of attention: flash, which is also the default, or unfused."""
    checkpoint: Checkpoint | None = None
    """How training state is saved."""
    evaluation: Evaluation | None = None
    """Pauses in which the model is judged; none where absent."""
    restart: q.Duration | None = None
    """From a failure until all ranks are ready to load the last checkpoint: noticing it, replacing the node,
    rendezvous, start. 10 min where absent, marked assumed."""


class Fabric(Section):
    """Fastest-link domain of the GPUs."""

    kind: q.FabricKind | None = None
    """The GPU's standard fabric where absent."""
    num_gpus: q.GpusPerNode | None = None
    """GPUs that one fabric joins; may reach beyond a node."""
    bandwidth: q.Bandwidth | None = None
    """Per GPU, one direction; that of the GPU's sheet where absent."""


class NodeGroup(Section):
    """Nodes that are alike."""

    count: q.NumNodes
    """Number of nodes."""
    gpu: q.Name
    """Catalog name of the GPU, as `a100-sxm4-80gb`."""
    gpus_per_node: q.GpusPerNode
    """GPUs in one node."""
    fabric: Fabric | None = None
    """What joins the GPUs; that of the GPU's standard system where absent, marked assumed."""
    network: q.Network | None = None
    """Network of one node, one direction, by rails: `4x200 Gbit/s`; the standard system's where absent, marked
    assumed."""
    memory: q.Size | None = None
    """Host memory of one node."""
    cpus: q.SmallCount | None = None
    """CPU cores of one node."""
    disk: q.Size | None = None
    """Local disk of one node."""
    addresses: tuple[q.Name, ...] | None = None
    """Where the nodes answer, one for each."""
    interface: q.Name | None = None
    """Network interface for the job's traffic, as `eth0`."""
    image: q.Text | None = None
    """Container image."""
    price: q.GpuPrice | None = None
    """Price of one GPU over time; the catalog's price of the region where absent, else unknown."""
    preemptible: q.Truth | None = None
    """Whether the provider may take the nodes back; false where absent. It also chooses the catalog's price."""
    mtbf: q.Duration | None = None
    """Mean time between failures of one node, interruptions by the provider among them. Where absent, what a large
    training on H100 saw, by GPU, marked assumed; unknown for preemptible nodes."""


class Zone(Section):
    """One low-latency failure domain."""

    name: q.Name
    """Its name; links and the plan refer to it."""
    nodes: Annotated[tuple[NodeGroup, ...], Field(min_length=1, max_length=MAX_NODE_GROUPS)]
    """Its nodes, group by group; groups may differ in every respect."""
    region: q.Name | None = None
    """`provider:region` of the catalog, which gives coordinates and prices, or any name of your own, which gives
    none."""
    location: tuple[q.Latitude, q.Longitude] | None = None
    """Latitude and longitude in degrees; the region's where absent."""
    scheduler: q.Name | None = None
    """What starts jobs in it. For Slurm also how: `slurm partition=a100 account=lab`; and `qos`, `constraint`,
    `reservation`, `time`."""
    uplink: q.Bandwidth | None = None
    """What all links of the zone share, each direction; no limit where absent."""
    oversubscription: q.Oversubscription | None = None
    """Sum of the nodes' network over what the zone's core carries; 1 where absent."""


class Path(Section):
    """What a link between two zones can do. Achieved is the least of bandwidth, nodes x per_node, and flows x streams
    x the least of per_flow, window / RTT and the loss limit."""

    bandwidth: q.Bandwidth | None = None
    """Payload that all flows of the job get together, one direction."""
    rtt: q.Rtt | None = None
    """Round trip. Where absent: the other direction's, else measured between the regions, else from the distance; the
    last two marked assumed."""
    per_node: q.Bandwidth | None = None
    """Cap of what one node sends."""
    per_flow: q.Bandwidth | None = None
    """Cap of what one flow carries."""
    window: q.BufferSize | None = None
    """Bytes that one flow keeps on the way, as its socket buffers allow."""
    streams: q.SmallCount | None = None
    """Connections that one flow is spread over; 1 where absent."""
    jitter: q.Rtt | None = None
    """Standard deviation of the round trip, as ping prints it: a round of an exchange waits for its slowest message."""
    loss: q.Loss | None = None
    """Share of packets that are lost."""
    congestion_control: q.CongestionControl | None = None
    """Congestion control of TCP: loss limits all but bbr; cubic where absent, marked assumed if loss is written."""
    shared: q.Name | None = None
    """Name of a path: links with the same name share its bandwidth, the widest of theirs."""
    egress_price: q.EgressPrice | None = None
    """Price of what leaves over it; the catalog's for the two regions where absent, else unknown."""
    distance: q.Distance | None = None
    """Length of the path; the great circle between the coordinates where absent. It checks or fills the RTT, nothing
    else."""
    mtbf: q.Duration | None = None
    """Mean time between outages of the path; without it none are predicted."""
    repair: q.Duration | None = None
    """How long an outage lasts; where absent it is over before the job restarts, marked assumed."""


class Link(Path):
    """A path between two zones: `between` for both directions, `from` and `to` for one, which comes over `between`."""

    between: Annotated[tuple[q.Name, ...], Field(min_length=2, max_length=2)] | None = None
    """Two zones; both directions are set."""
    from_zone: q.Name | None = Field(default=None, alias="from")
    """Zone that sends; one direction is set."""
    to_zone: q.Name | None = Field(default=None, alias="to")
    """Zone that receives."""


class Cluster(Section):
    """All GPUs of the job and what joins them."""

    zones: Annotated[tuple[Zone, ...], Field(min_length=1, max_length=MAX_ZONES)]
    """The zones, at least one."""
    links: tuple[Link, ...] = ()
    """Paths between zones; each pair needs one in each direction, or `default_link`."""
    default_link: Path | None = None
    """Path between every two zones that no link names."""


class Framework(Section):
    """What trains."""

    name: q.Name
    """ddp, fsdp, deepspeed, megatron, torchtitan or horovod; where `framework` is absent, the best that can express
    the plan."""


class Codecs(Section):
    """Formats in which streams cross zones."""

    gradients: q.GradientCodec | None = None
    """Codec of gradients: none, bf16, fp16, int8_block, int4, powersgd_rank_R (rank R) or topk_N (one element in N)."""
    activations: q.ActivationCodec | None = None
    """Codec of activations between stages: none, bf16, fp16, int8_block or int4."""
    pseudogradients: q.PseudogradientCodec | None = None
    """Codec of what an outer step sends, as of gradients."""


class Sync(Section):
    """How zones agree on the weights."""

    method: q.SyncMethod | None = None
    """hierarchical reduces inside each zone first; flat is one ring over all; where absent, the one of them that the
    framework runs. delayed applies gradients a step late; with local_sgd, diloco and streaming_diloco each zone steps
    by itself in between. All but the first two change the mathematics."""
    every: q.SmallCount | None = None
    """Inner steps from one agreement to the next; 1 where absent."""
    codecs: Codecs | None = None
    """Formats in which streams cross zones."""
    streams: q.SmallCount | None = None
    """Connections that carry the agreement; the link's `streams` where absent."""
    fragments: q.Degree | None = None
    """Parts of the model that streaming_diloco exchanges in turn; one for each 3 layers where absent."""
    delay: q.Index | None = None
    """Inner steps that an exchange may take beside compute: 1 for delayed and streaming_diloco, else 0 where absent."""
    algorithm: q.ZoneAlgorithm | None = None
    """How a sum travels between zones: ring, which is also the default, tree or direct."""


class Stage(Section):
    """Layers on one pipeline rank."""

    num_layers: q.NumLayers
    """Layers of the stage; over all stages they add up to the model's."""
    first_layer: q.Index | None = None
    """Index of its first layer, 0 first; follows from the stages before where absent."""
    zone: q.Name | None = None
    """Zone that holds it; free where absent."""
    node_group: q.Index | None = None
    """Index in the zone's nodes; free where absent."""
    tp: q.Degree | None = None
    """Tensor parallel degree of this stage; the plan's where absent."""
    dp: q.Degree | None = None
    """Data parallel degree of this stage; the plan's where absent."""
    recompute: q.Recompute | None = None
    """What this stage recomputes, none or as the plan; the plan's where absent."""
    recompute_layers: q.Degree | None = None
    """Layers of each of its virtual stages, from the first on, that it recomputes; the plan's where absent."""


class OwnDegrees(Section):
    """What replicas of one zone do otherwise than the plan, where zones exchange nothing but local updates."""

    microbatch_size: q.Degree | None = None
    """Sequences of one microbatch; the plan's where absent."""
    dp_shard: q.Degree | None = None
    """Ranks of the zone that share one copy of what `shard` names; the plan's where absent."""
    shard: q.Shard | None = None
    """What the zone's ranks split; the plan's where absent."""
    recompute: q.Recompute | None = None
    """Activations that are computed again; the plan's where absent."""
    recompute_layers: q.Degree | None = None
    """With `recompute: full`: as many layers, from the first on; all where absent."""


class Replica(Section):
    """Replicas of the model that are placed alike."""

    zones: Annotated[tuple[q.Name, ...], Field(min_length=1)]
    """Zone of each stage, first to last, or one zone for all of them."""
    num_replicas: q.Degree | None = None
    """How many are placed so; 1 where absent."""
    num_microbatches: q.Degree | None = None
    """Microbatches that each works off in a step; free where absent."""
    weight: q.Weight | None = None
    """Share of the step's tokens that they consume together; free where absent."""
    own: OwnDegrees | None = None
    """What these replicas do otherwise than the plan; nothing where absent."""


class IdleGpus(Section):
    """GPUs that the plan leaves alone."""

    zone: q.Name
    """Zone that holds them."""
    node_group: q.Index | None = None
    """Index in the zone's nodes; 0 where absent."""
    num_gpus: q.NumGpus
    """How many."""


class Plan(Section):
    """What of the plan is fixed; what is absent is searched, or follows from the rest."""

    tp: q.Degree | None = None
    """Tensor parallel degree; divides the heads."""
    pp: q.Degree | None = None
    """Pipeline parallel degree: stages."""
    cp: q.Degree | None = None
    """Context parallel degree; 2·cp divides the sequence length."""
    ep: q.Degree | None = None
    """Expert parallel degree; divides the experts and dp·cp·tp."""
    dp: q.Degree | None = None
    """Data parallel degree: replicas of the model."""
    dp_shard: q.Degree | None = None
    """Ranks that share one copy of what `shard` names; divides dp."""
    num_virtual_stages: q.Degree | None = None
    """Chunks of layers on each pipeline rank: above 1 with interleaved_1f1b, 2 with zbv and cross_wave, else 1."""
    microbatch_size: q.Degree | None = None
    """Sequences of one microbatch; divides the global batch."""
    schedule: q.Schedule | None = None
    """Order of work in the pipeline."""
    sequence_parallel: q.Truth | None = None
    """Whether norms and dropout are split along the sequence too; needs tp above 1."""
    shard: q.Shard | None = None
    """What data-parallel ranks split, each including the ones before (ZeRO 0 to 3)."""
    recompute: q.Recompute | None = None
    """Activations that are computed again in the backward pass."""
    recompute_layers: q.Degree | None = None
    """With `recompute: full`: of each virtual stage as many layers, from the first on; all where absent."""
    offload: q.Offload | None = None
    """What waits in host memory."""
    rank_order: q.RankOrder | None = None
    """Axes of the rank grid, innermost first; the framework's where absent."""
    sync: Sync | None = None
    """How zones agree on the weights."""
    bucket_bytes: q.BufferSize | None = None
    """Gradients that are reduced in one call; the framework's where absent."""
    prefetch: q.Index | None = None
    """Units of sharded weights that are gathered ahead, 0 for none; the framework's where absent."""
    overlap_fraction: q.Fraction | None = None
    """Your own share of the agreement on gradients that compute hides, instead of the computed one; marked assumed."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] | None = None
    """General form: the stages one by one."""
    replicas: Annotated[tuple[Replica, ...], Field(min_length=1)] | None = None
    """General form: the replicas one by one."""
    idle_gpus: tuple[IdleGpus, ...] | None = None
    """GPUs that are left alone on purpose."""


class Objective(Section):
    """What best means."""

    minimize: q.Minimize | None = None
    """time, which is also the default: of the whole training, failures included; of a step without `train_tokens`.
    goodput: useful tokens per second of wall time. cost: all that is paid. throughput_per_dollar: tokens per dollar,
    egress included. Goodput and throughput_per_dollar are made as large as possible."""
    budget: q.Dollars | None = None
    """Most that the whole training may cost; half of all trainings stay below it, failures and checkpoints included."""
    deadline: q.Duration | None = None
    """Longest that the whole training may take; half of all trainings stay below it, failures and checkpoints
    included."""


class Constraints(Section):
    """What a plan may not do, and what it may."""

    exclude_zones: tuple[q.Name, ...] = ()
    """Zones that are not used."""
    frameworks: tuple[q.Name, ...] = ()
    """Frameworks at hand; all where empty."""
    allow: tuple[q.Allowed, ...] = ()
    """Changes of the optimiser's mathematics that are allowed."""
    max_egress: q.Dollars | None = None
    """Most that egress of the whole training may cost."""
    min_replica_batch: q.BatchSize | None = None
    """Sequences that every replica consumes in a step, at least; any number where absent."""


class Job(Section):
    """One job file."""

    schema_version: q.SchemaVersion = 1
    """Version of this format; 1 where absent."""
    model: ModelChoice
    """Catalog name, path to a Hugging Face config.json, the fields of a shape, or {parameters: 13B}."""
    workload: Workload
    """What is trained."""
    cluster: Cluster
    """Where the GPUs are and what joins them."""
    framework: Framework | None = None
    """What trains; the best that can express the plan where absent."""
    plan: Plan | None = None
    """What of the plan is fixed; all of it is searched where absent."""
    objective: Objective | None = None
    """What best means; the least time where absent."""
    constraints: Constraints | None = None
    """What a plan may not do, and what it may; no limits where absent."""
