"""How published TFLOP/s and MFU count: the FLOP of one step by each convention that is known."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from crosszone.core.model import Model
from crosszone.cost.flop import model_flop
from crosszone.cost.parameters import num_parameters

FULL_RECOMPUTE_RATIO = 4.0 / 3.0
"""Forward done twice: (2 + 2 + 4) / (2 + 4). Hardware FLOP of a run with full recomputation over its model FLOP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """One way to count, and how to tell it from the text beside a published figure."""

    name: str
    pattern: str
    """Found in the text after `_squeezed`: lower case, without spaces, `*` and `_`."""
    sequence_flop: Callable[[Model, int], float]
    """FLOP of one sequence, forward and backward."""
    counts_recompute: bool
    """The formula itself contains full recomputation, whether the run did it or not."""
    source: str


def sc21_flop(model: Model, sequence_length: int) -> float:
    """96 s l h^2 (1 + s/6h + V/16lh): products, full attention, each with a second forward; the head without.

    Source: Narayanan et al. 2021 (SC21), eq. 3. It holds for a plain FFN of 4h and as many key as query heads.
    """
    s, length, h = float(sequence_length), model.num_layers, model.hidden_size
    return 96.0 * s * length * h**2 * (1.0 + s / (6.0 * h) + model.vocab_size / (16.0 * length * h))


def palm_flop(model: Model, sequence_length: int) -> float:
    """(6 N + 12 l h s) per token, N with embeddings, attention in full. Source: Chowdhery et al. 2022, appendix B."""
    width = model.num_heads * model.head_size
    per_token = 6.0 * num_parameters(model) + 12.0 * model.num_layers * width * sequence_length
    return per_token * sequence_length


def full_attention_flop(model: Model, sequence_length: int) -> float:
    """Model FLOP with the whole square of attention: Korthikanti et al. 2022, appendix A, for any shape."""
    return model_flop(replace(model, is_causal=False), sequence_length)


def eight_parameters_flop(model: Model, sequence_length: int) -> float:
    """8 N per token: 2 N forward, 4 N backward, 2 N recomputed. Source: BigScience's notes on BLOOM (2022)."""
    return 8.0 * num_parameters(model) * sequence_length


CONVENTIONS = (
    Convention(
        name="megatron_sc21",
        pattern=r"96b?slh|96b?lsh|megatronsc21",
        sequence_flop=sc21_flop,
        counts_recompute=True,
        source="Narayanan et al. 2021 (SC21), eq. 3",
    ),
    Convention(
        name="eight_parameters",
        pattern=r"(modelsize|sizeb|size|n)42seqgbs|8n(tokens|d)",
        sequence_flop=eight_parameters_flop,
        counts_recompute=True,
        source="BigScience, BLOOM chronicles",
    ),
    Convention(
        name="full_attention",
        pattern=r"72b?lsh|72b?slh|12bslh\^2|full\(?(non-causal\)?)?attention",
        sequence_flop=full_attention_flop,
        counts_recompute=False,
        source="Korthikanti et al. 2022, appendix A",
    ),
    Convention(
        name="palm",
        pattern=r"6s?n\+12l(h|d)|32ns\+3l4h|palm|nanogpt|nothalvedforcausal",
        sequence_flop=palm_flop,
        counts_recompute=False,
        source="Chowdhery et al. 2022, appendix B",
    ),
    Convention(
        name="causal_attention",
        pattern=r"causal|numfloatingpointoperations",
        sequence_flop=model_flop,
        counts_recompute=False,
        source="Megatron-LM, num_floating_point_operations of 2025",
    ),
)
"""In order: the first whose pattern is found counts."""

PALM = CONVENTIONS[3]


def convention(text: str) -> Convention | None:
    """The convention that `text` states; None where it is none of those known."""
    squeezed = _squeezed(text)
    if "notstated" in squeezed:
        return None
    return next((known for known in CONVENTIONS if re.search(known.pattern, squeezed)), None)


def step_flop(known: Convention, model: Model, sequence_length: int, batch: int, *, kind: str, recompute: str) -> float:
    """FLOP of one step as `known` counts them.

    `kind` is what the table says of the figure. "hardware" figures of a formula without recomputation count full
    recomputation on top: times 4/3.
    """
    flop = known.sequence_flop(model, sequence_length) * batch
    adds_recompute = "hardware" in kind.lower() and not known.counts_recompute and recompute == "full"
    return flop * FULL_RECOMPUTE_RATIO if adds_recompute else flop


def _squeezed(text: str) -> str:
    return re.sub(r"[\s*_]", "", text.lower())
