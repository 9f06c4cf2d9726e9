"""What is trained: sequence, batch, number formats, optimizer, tokens."""

import math
from dataclasses import dataclass

DTYPE_BYTES = {"fp32": 4.0, "tf32": 4.0, "fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5, "int4": 0.5}
"""Bytes of one element in memory (tf32 is fp32 in memory)."""

OPTIMIZER_MOMENTS = {"adamw": 2, "adam": 2, "sgd": 0, "momentum": 1, "lion": 1, "muon": 1, "adafactor": 0}
"""Full-size moment tensors per parameter. Adafactor keeps row and column sums only (Shazeer & Stern 2018)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dtypes:
    """Number format of each kind of tensor."""

    compute: str
    weights: str
    activations: str
    gradients: str
    gradient_reduction: str
    master_weights: str | None
    """None: the weights themselves are updated."""
    moments: str


def standard_dtypes(precision: str) -> Dtypes:
    """Formats that the shorthand `precision` stands for.

    16-bit and narrower compute keeps fp32 gradients, master weights and moments (Micikevicius et al. 2018);
    fp8 and fp4 compute keeps its weights and activations in bf16 (NVIDIA Transformer Engine's default).
    """
    if precision in ("fp32", "tf32"):
        return Dtypes(
            compute=precision,
            weights="fp32",
            activations="fp32",
            gradients="fp32",
            gradient_reduction="fp32",
            master_weights=None,
            moments="fp32",
        )
    storage = "bf16" if precision in ("fp8", "fp4") else precision
    return Dtypes(
        compute=precision,
        weights=storage,
        activations=storage,
        gradients="fp32",
        gradient_reduction="fp32",
        master_weights="fp32",
        moments="fp32",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What is read."""

    num_tokens: float | None = None
    size_bytes: float | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How training state is saved. What is None is not known, and taken as usual or computed."""

    every_seconds: float | None = None
    """Work between two; None: the interval that loses least."""
    node_bytes_per_second: float | None = None
    """At which one node writes and reads."""
    num_kept: int | None = None
    is_async: bool = False
    """Whether training goes on while it is written, and waits only for the copy to host memory."""
    dollars_per_byte_second: float | None = None
    """Price of storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A pause of the training in which the model is judged."""

    every: int
    """Steps from one to the next."""
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One training task, independent of how it is split."""

    sequence_length: int
    global_batch_size: int
    """Sequences that all zones consume in one (inner) step."""
    dtypes: Dtypes
    optimizer: str = "adamw"
    train_tokens: float | None = None
    dataset: Dataset | None = None
    trainable: str = "all"
    """all | lora"""
    attention: str = "flash"
    """flash | unfused"""
    checkpoint: Checkpoint = Checkpoint()
    evaluation: Evaluation | None = None
    restart_seconds: float | None = None
    """From a failure until all ranks are ready to load the last checkpoint; None: not known."""

    @property
    def global_batch_tokens(self) -> int:
        """Tokens of one step."""
        return self.sequence_length * self.global_batch_size

    @property
    def num_steps(self) -> int | None:
        """Of the whole training, the last one cut short; None where its tokens are unknown."""
        return None if self.train_tokens is None else math.ceil(self.train_tokens / self.global_batch_tokens)
