"""What a training framework does, in numbers: the facts that the cost model takes as arguments."""

from collections.abc import Callable
from dataclasses import dataclass

from crosszone.core.tables import Bools, PlanTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Where one number of a `Framework` comes from."""

    field: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """Behaviour of one framework in its usual configuration."""

    name: str
    title: str
    version: str
    """Versions that the facts were read from."""
    attention_kernel: str
    """Fused attention that it runs: best (the fastest there is on the GPU) | flash2 | flash1 (FlashAttention's two)."""
    gemm_factor: float
    """Rate of its matrix products over that of today's libraries on the same GPU."""
    weights_are_master: bool
    """True: fp32 weights are kept and cast for compute (autocast, FSDP mixed precision); no second copy is stored."""
    overlaps_gradient_reduce: bool
    """Gradient buckets are reduced while the last microbatch's backward still runs."""
    overlaps_sharded_reduce: bool
    """The same where optimizer states are sharded and gradients scattered to their owners."""
    overlaps_in_pipeline: bool
    """So it is with a pipeline, too; False: a stage reduces when its last backward has ended."""
    overlaps_weight_gather: bool
    """Sharded weights are gathered ahead of their layer or of the next step's forward."""
    tensor_parallel_overlap_fraction: float
    """Share of tensor-parallel communication that runs behind GEMMs."""
    scatters_pipeline_send: bool
    """Each tensor-parallel rank sends its own part of a stage boundary, so that a boundary crosses once."""
    receives_early: bool
    """Receives of a pipeline with one stage per rank are posted before the work that comes before their use, so that
    messages travel meanwhile. Otherwise the receiver stands from its last work until the message is there: NCCL's
    point-to-point is a rendezvous, which begins when both sides have posted."""
    virtual_receives_early: bool
    """The same with several virtual stages per rank."""
    launch_seconds: float
    """CPU time to issue one transformer layer's forward at most; a floor under short layers."""
    elementwise_factor: float
    """Bytes moved by operations outside GEMMs, over the least that fused kernels would move."""
    recomputes_operations: bool
    """Selective recomputation redoes all but attention and every second product; False: the attention core alone."""
    norm_traffic_bytes: float
    """Bytes that its norms move beyond fused ones, per element of a token's hidden state, in one layer's forward."""
    accumulation_bytes: float
    """Bytes moved per parameter to add a microbatch's gradients to those before, apart from the products' own."""
    expert_parallel_overlap_fraction: float
    """Share of expert-parallel communication that runs behind another microbatch's compute."""
    expert_launch_seconds: float
    """What routing adds to the forward of a layer with experts, where the CPU waits for the counts of tokens."""
    sends_token_once: bool
    """A token crosses to each node once, however many of its experts are there."""
    tensor_parallel_step_seconds: float
    """Latency of one step of a tensor-parallel ring that leaves the node."""
    receive_stall_seconds: float
    """What each tensor-parallel rank adds to the time to issue a layer's forward while a receive from another node is
    pending."""
    agreement_factor: float
    """Time that gradients and weights take between replicas, over that of large collectives at the full rate."""
    bucket_seconds: float
    """What reducing or gathering one bucket costs beside its bytes and the network's latency."""
    late_message_seconds: float
    """How long a message between stages blocks its rank, beside its bytes, in the two cases that follow."""
    late_message_num_gpus: float
    """GPUs of a job from which messages are late; 0: never."""
    late_message_tp: float
    """Tensor-parallel degree from which they are; 0: never."""
    logit_bytes: float
    """Bytes of live memory per logit of a microbatch at the loss, all copies and formats together."""
    gathered_logit_bytes: float
    """Bytes per logit that gathering them adds, where every tensor-parallel rank holds the whole vocabulary's; 0 where
    each keeps its own part."""
    kept_norm_elements: float
    """Elements per hidden unit that a norm keeps for backward beyond its input and output; fused ones keep none."""
    kept_attention_elements: float
    """Elements per unit of the queries' width that attention keeps beyond q, k, v and its output: copies that eager
    rotation and changes of layout leave."""
    kept_ffn_elements: float
    """Elements per unit of FFN width that a gated FFN keeps beyond gate, up and their product."""
    score_elements: float
    """Elements per head and pair of tokens that unfused attention keeps."""
    keeps_narrow_gradients: bool
    """Gradients in the weights' format stay beside their wider sums."""
    keeps_gradient_buckets: bool
    """So they do where replicas reduce them: in buckets of their own, which are never freed."""
    keeps_gathered_in_pipeline: bool
    """With a pipeline, gathered weights and whole gradients stay until the step's last microbatch."""
    logit_traffic_bytes: float
    """Bytes read and written per logit in loss and its backward."""
    optimizer_traffic_factor: float
    """Bytes moved by the optimizer step over one read and write of its states."""
    gradient_bucket_bytes: float
    """Default size of one gradient reduction."""
    context_bytes: float
    """CUDA context, loaded kernels and workspaces of libraries: what a process holds outside its allocator."""
    communicator_bytes: float
    """Buffers of one communicator (a group of more than one rank), outside the allocator too."""
    fragmentation_fraction: float
    """Memory that the allocator holds and can give to no tensor, over the tensors, when memory is short."""
    cached_fraction: float
    """Free blocks that the allocator keeps while there is room, over activations and buffers; given back when memory is
    short."""
    num_pending_exchanges: float
    """Freed inputs of tensor-parallel exchanges whose blocks wait for the GPU, at most: how far the CPU gets ahead."""
    facts: tuple[Fact, ...] = ()
    modes: tuple["Mode", ...] = ()
    """What it does otherwise with some plans; of those that hold, the last counts."""

    def source(self, field: str) -> str:
        """Source of the number in `field`; empty where it is a definition."""
        return next((fact.source for fact in self.facts if fact.field == field), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """What a framework does with some plans otherwise than with most: what layers and loss take and keep."""

    holds: Callable[[PlanTable], Bools]
    """Plans that run so, by `tp`, `pp`, `schedule` and `recompute` alone."""
    framework: Framework
    """All facts of the framework as it is then. None of its layers is quicker, or smaller, than without the mode."""
