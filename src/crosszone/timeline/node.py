"""What one place of a simulated pipeline does to every microbatch."""

from typing import NamedTuple


class Node(NamedTuple):
    """The forward, backward or weight gradient of one position: what is the same for all microbatches.

    Positions are 0 .. pv - 1 in order of a microbatch's way (see `core.schedules.placement`). Node n < pv is the
    forward of position n, node pv + n its backward, 2pv + n its weight gradient, and task n * m + i is what node n does
    to unit i, a microbatch or a part of one: whole numbers, because many are looked up.
    """

    seconds: float
    waits: bool
    """It needs a message before it can start."""
    target: int | None
    """Node that its result goes to."""
    target_rank: int
    delay_seconds: float
    transfer_seconds: float
    link: str | None
    """What its result queues for."""
