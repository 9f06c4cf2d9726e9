"""What ranks found when they met: whether they add up, how far they are apart, whether a step is right."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RankFacts:
    """What one rank runs."""

    rank: int
    hostname: str
    python_version: str
    torch_version: str
    cuda_version: str | None
    nccl_version: str | None
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankPair:
    """Messages from one rank to another and back, over the ranks' own backend."""

    from_rank: int
    to_rank: int
    rtt_seconds: float
    """Of a few bytes, median."""
    bytes_per_second: float
    """Of a large message, one direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankStep:
    """One optimizer step of all ranks beside the same step of one process."""

    how: str
    """ddp | fsdp | deepspeed ZeRO stage"""
    is_equal: bool
    largest_difference: float
    """Of any weight."""
    tolerance: float
    least_change: float
    """By the step, of the tensor that changed least: above the tolerance, or nothing was trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankReport:
    """All that was seen."""

    is_ready: bool
    verdict: str
    backend: str
    """gloo | nccl"""
    num_ranks: int
    sums: tuple[int, ...] = ()
    """What each rank has as the sum of all ranks' numbers."""
    expected_sum: int
    """n(n-1)/2"""
    ranks: tuple[RankFacts, ...] = ()
    pairs: tuple[RankPair, ...] = ()
    """Each unordered pair; in a large job those with rank 0."""
    step: RankStep | None = None
    """None: it was not reached."""
    problem: str | None = None
    """The last lines of the rank that failed first."""
