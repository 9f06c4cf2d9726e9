"""The model's shape against degrees and sequence."""

import math

from crosszone import units
from crosszone.planner.lint.rule import Case, Judgement, Rule, failed, passed, warned

VOCABULARY_MULTIPLE = 128
"""Megatron-LM pads the vocabulary to a multiple of this times tp (make-vocab-size-divisible-by)."""
NOTABLE_FRACTION = 0.05
"""More of the embedding and of the head than this is memory worth a word."""


def _sequence_length(case: Case) -> Judgement | None:
    model, length = case.problem.model, case.problem.workload.sequence_length
    most = model.max_positions
    if most is None:
        return None
    text = f"sequences of {length} tokens, {model.name} was made for {most}."
    if length <= most:
        return passed(text)
    setting = f"workload.sequence_length={most}"
    if model.position == "learned":
        return failed(f"{text} Its table of positions has no more rows.", f"Cut sequences to {most}.", setting)
    return warned(text, f"Cut sequences to {most}, or extend its positions (RoPE scaling).", setting)


def _vocabulary(case: Case) -> Judgement | None:
    tp, size = case.plan.tp, case.problem.model.vocab_size
    if tp == 1:
        return None
    padded = math.ceil(size / (VOCABULARY_MULTIPLE * tp)) * VOCABULARY_MULTIPLE * tp
    share = padded / size - 1.0
    text = f"{size} tokens over tp {tp}: padded to {padded}, {units.format_fraction(share)} more."
    if share < NOTABLE_FRACTION:
        return passed(text)
    return warned(text, f"Set tp below {tp}, or expect rows of the embedding that nothing trains.")


def _kv_heads(case: Case) -> Judgement | None:
    tp, model = case.plan.tp, case.problem.model
    if tp == 1 or model.kv_lora_rank:
        return None
    text = f"{model.num_kv_heads} key and value heads over tp {tp}"
    if model.num_kv_heads % tp == 0:
        return passed(f"{text}: {model.num_kv_heads // tp} on each rank.")
    legal = math.gcd(model.num_kv_heads, tp)
    text += f": each head is held by {tp / model.num_kv_heads:.3g} ranks." if tp > model.num_kv_heads else "."
    return warned(text, f"tp {legal} divides them.", f"plan.tp={legal}", "plan.dp=null")


MEGATRON = "Megatron-LM, megatron/training/arguments.py and tokenizer (padded vocabulary); Shoeybi et al. 2019, sec. 3"
RULES = (
    Rule(
        name="sequence_length",
        about="sequences no longer than the positions that the model was made for",
        source="max_position_embeddings of the model's published config",
        judge=_sequence_length,
    ),
    Rule(
        name="vocabulary", about="the vocabulary splits over tp with little padding", source=MEGATRON, judge=_vocabulary
    ),
    Rule(
        name="kv_heads",
        about="key and value heads split over tp",
        source="Ainslie et al. 2023 (GQA, arXiv 2305.13245), sec. 2.2; Megatron-LM, num_query_groups",
        judge=_kv_heads,
    ),
)
