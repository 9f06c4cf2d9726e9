"""One unit of a pipeline rank's work."""

from typing import NamedTuple

FORWARD, BACKWARD, WEIGHT_GRADIENT = "forward", "backward", "weight_gradient"
KINDS = (FORWARD, BACKWARD, WEIGHT_GRADIENT)


class Action(NamedTuple):
    """What a rank does to one microbatch in one of its virtual stages."""

    kind: str
    """One of KINDS. Where a weight gradient of the same work comes later, the backward is that of the input alone;
    elsewhere it is all of it."""
    microbatch: int
    virtual_stage: int = 0
    part: int = 0
    """Of a microbatch that goes through the pipeline in parts."""

    @property
    def is_forward(self) -> bool:
        """Whether it is a forward."""
        return self.kind == FORWARD


def forward(microbatch: int, virtual_stage: int = 0, part: int = 0) -> Action:
    """The forward of a microbatch."""
    return Action(FORWARD, microbatch, virtual_stage, part)


def backward(microbatch: int, virtual_stage: int = 0, part: int = 0) -> Action:
    """The backward of a microbatch: all of it, or only that of its input where a weight gradient follows."""
    return Action(BACKWARD, microbatch, virtual_stage, part)


def weight_gradient(microbatch: int, virtual_stage: int = 0, part: int = 0) -> Action:
    """The part of a microbatch's backward that no other stage waits for."""
    return Action(WEIGHT_GRADIENT, microbatch, virtual_stage, part)
