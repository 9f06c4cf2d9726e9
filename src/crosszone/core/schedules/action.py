"""One unit of a pipeline rank's work."""

from typing import NamedTuple


class Action(NamedTuple):
    """Forward or backward of one microbatch through one virtual stage of a rank."""

    is_forward: bool
    microbatch: int
    virtual_stage: int


def forward(microbatch: int, virtual_stage: int = 0) -> Action:
    """The forward of a microbatch."""
    return Action(True, microbatch, virtual_stage)


def backward(microbatch: int, virtual_stage: int = 0) -> Action:
    """The backward of a microbatch."""
    return Action(False, microbatch, virtual_stage)
