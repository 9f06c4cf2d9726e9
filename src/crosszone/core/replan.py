"""What to do with a running training when its cluster has changed."""

from dataclasses import dataclass

from crosszone.core.plan import Plan
from crosszone.core.prediction import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What it takes to go on with another plan. All zero for the running plan of a training that goes on."""

    save_seconds: float
    """Writing a checkpoint before the stop; 0 where the training was torn off."""
    lost_seconds: float
    """Work since the last checkpoint that is done again, on average."""
    transfer_seconds: float
    """Sending the state to zones that do not have it yet."""
    restart_seconds: float
    """Starting again, the checkpoint read into the new layout."""
    transfer_bytes: float
    """Between zones."""
    egress_dollars: float | None

    @property
    def total_seconds(self) -> float:
        """From the stop until the work is as far as it was."""
        return self.save_seconds + self.lost_seconds + self.transfer_seconds + self.restart_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One plan for the rest of the training."""

    plan: Plan
    prediction: Prediction
    """Of the rest: its totals are from now on, without the move."""
    is_running: bool
    move: Move
    finish_seconds: float
    """From now until the end: the move, and the P50 of the rest where that is known."""
    dollars: float | None
    """Of the same; None where a price is unknown."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replan:
    """Choices in order, best first; empty where nothing fits."""

    running: Plan
    remaining_tokens: float
    choices: tuple[Choice, ...]
    impossible: tuple[str, ...]
    """Why the running plan cannot go on; empty where it can."""
    verdict: str
