"""What the order of a generated schedule is made from: how long everything takes, and how much may be held."""

from dataclasses import dataclass

from crosszone.core.schedules.action import Action

Orders = tuple[tuple[Action, ...], ...]
"""The actions of each rank in the order it does them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One step of a pipeline. Seconds are of one whole microbatch through all virtual stages of a rank."""

    num_microbatches: int
    num_virtual_stages: int
    forward_seconds: tuple[float, ...]
    backward_seconds: tuple[float, ...]
    """Of the input."""
    weight_seconds: tuple[float, ...]
    delay_seconds: tuple[float, ...]
    """Per boundary between neighbouring ranks, from the end of sending to arrival."""
    transfer_seconds: tuple[float, ...]
    """Per boundary: time that a message of one microbatch takes its link."""
    most_in_flight: float
    """Microbatches whose activations one rank may hold."""

    @property
    def num_stages(self) -> int:
        """Ranks of the pipeline."""
        return len(self.forward_seconds)
