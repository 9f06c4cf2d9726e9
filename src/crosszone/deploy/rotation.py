"""Rotary positions of a model, as trainers are told: its own where they are known, and said where they are not."""

from collections.abc import Iterator

from crosszone.core.model import Model

ROTARY_BASE = 10_000.0
"""Su et al. 2021 (arXiv 2104.09864), sec. 3.3: what is taken where a model's own is not known."""


def rotary_base(model: Model) -> float:
    """The model's own base, or the usual one."""
    return ROTARY_BASE if model.rope_base is None else model.rope_base


def scaling_factor(model: Model) -> float:
    """By which positions are stretched, as Llama 3.1's are; 1 where they are not, or nobody knows."""
    return 1.0 if model.rope_scaling_factor is None else model.rope_scaling_factor


def rotation_assumptions(model: Model) -> Iterator[str]:
    """What is taken for what is not known."""
    if model.position != "rope":
        return
    if model.rope_base is None:
        yield (
            f"Positions are rotated with base {ROTARY_BASE:g}, unstretched: the model's own base is not known. A "
            "config.json as the model names it."
        )
    elif model.rope_scaling_factor is None:
        yield "Positions are not stretched: by which rule the model stretches them is not known, or not Llama 3.1's."
