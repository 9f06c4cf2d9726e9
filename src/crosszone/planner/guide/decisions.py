"""What is decided: batch, techniques, degrees, length. Defaults are the planner's best for the answers so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crosszone import units
from crosszone.core.answer import RankedPlan
from crosszone.core.plan import RECOMPUTES, SHARDS
from crosszone.cost.parameters import num_parameters
from crosszone.errors import InfeasiblePlan
from crosszone.planner.guide.inventory import model_of, one_of, usual_tokens, whole_number
from crosszone.planner.guide.job_text import plan_request, problem_of
from crosszone.planner.guide.question import Draft, Question, Step
from crosszone.planner.search import search

BATCH_TOKENS = ((0.0, 0.5e6), (1.3e9, 1e6), (13e9, 2e6), (175e9, 3.2e6))
"""Tokens of a step by parameters. Source: Brown et al. 2020 (GPT-3, arXiv 2005.14165), table 2.1."""
LONG_SEQUENCE = 16384
"""From here on context parallelism is asked for; below, activations of one sequence fit without it."""


def num_gpus(draft: Draft) -> int:
    """GPUs of all zones."""
    return problem_of(draft).cluster.num_gpus


def _ask_batch(draft: Draft) -> Question:
    length, gpus = draft.number("sequence_length"), num_gpus(draft)
    wanted = max(tokens for least, tokens in BATCH_TOKENS if num_parameters(model_of(draft)) >= least)
    sequences = max(1, round(wanted / length / gpus)) * gpus
    return Question(
        key="global_batch_size",
        prompt="How many sequences does a step consume, all zones together",
        default=str(sequences),
        reason=f"{units.format_count(sequences * length)} tokens, near GPT-3's for such a size; even on all GPUs",
        bounds=f"from 1 on; fewer than {gpus} leave GPUs without a sequence of their own, or need tp and pp",
        low=1,
    )


def _take_batch(draft: Draft, text: str) -> Draft:
    whole_number("global_batch_size", text, 1, None)
    return _searched(draft.with_answer("global_batch_size", text), "global_batch_size")


def _searched(draft: Draft, key: str) -> Draft:
    """The draft with the best plan that keeps to its answers. InfeasiblePlan with the verdict where there is none."""
    problem = replace(problem_of(draft), plan=plan_request(draft))
    try:
        answer = search(problem, top=1)
    except InfeasiblePlan as error:
        raise InfeasiblePlan(*(replace(finding, where=key) for finding in error.findings)) from None
    if not answer.plans:
        raise InfeasiblePlan.of(f"{key} {draft.get(key)}: {answer.verdict}", where=key, hint="Choose another.")
    return replace(draft, best=answer.plans[0])


def _best(draft: Draft) -> RankedPlan:
    assert draft.best is not None, "the batch is asked before"
    return draft.best


def _decide(draft: Draft, key: str, text: str) -> Draft:
    """The draft with a choice of the plan; where it is not the best one, the best that has it is searched."""
    written = draft.with_answer(key, text)
    return written if str(getattr(_best(draft).plan, key)) == text else _searched(written, key)


def _choice_step(key: str, prompt: str, choices: tuple[str, ...], bounds: str) -> Step:
    def ask(draft: Draft) -> Question:
        default = str(getattr(_best(draft).plan, key))
        return Question(key=key, prompt=prompt, default=default, reason=_why(draft), bounds=bounds, choices=choices)

    def take(draft: Draft, text: str) -> Draft:
        return _decide(draft, key, one_of(key, text, choices, "there is no such way"))

    return Step(key=key, ask=ask, take=take)


def _degree_step(
    key: str,
    prompt: str,
    legal: Callable[[Draft], tuple[tuple[int, ...], str]],
    applies: Callable[[Draft], bool] = lambda draft: True,
) -> Step:
    """A degree: `legal` gives its values and why it has no others."""

    def ask(draft: Draft) -> Question:
        values, bounds = legal(draft)
        return Question(
            key=key,
            prompt=prompt,
            default=str(getattr(_best(draft).plan, key)),
            reason=_why(draft),
            bounds=bounds,
            choices=tuple(map(str, values)),
            low=values[0],
            high=values[-1],
        )

    def take(draft: Draft, text: str) -> Draft:
        values, bounds = legal(draft)
        return _decide(draft, key, one_of(key, text, tuple(map(str, values)), bounds))

    return Step(key=key, ask=ask, take=take, applies=applies)


def _why(draft: Draft) -> str:
    best = _best(draft)
    seconds, memory = units.format_seconds(best.prediction.step_seconds), best.prediction.memory
    peak, capacity = units.format_bytes(memory.peak_bytes), units.format_bytes(memory.capacity_bytes)
    return f"the best plan so far has it: {seconds} a step, {peak} of {capacity}"


def _with_best(draft: Draft, values: list[int], key: str) -> tuple[int, ...]:
    """`values` and the best plan's own, which may reach further."""
    return tuple(sorted({*values, getattr(_best(draft).plan, key)}))


def _divisors(number: int) -> list[int]:
    return [value for value in range(1, number + 1) if number % value == 0]


def _legal_microbatch(draft: Draft) -> tuple[tuple[int, ...], str]:
    batch = draft.number("global_batch_size")
    return tuple(_divisors(batch)), f"it divides the batch of {batch} sequences; memory bounds it too"


def _legal_tp(draft: Draft) -> tuple[tuple[int, ...], str]:
    model, per_node = model_of(draft), draft.number("gpus_per_node")
    values = _with_best(draft, [tp for tp in _divisors(model.num_heads) if per_node % tp == 0], "tp")
    why = f"tp no larger than {values[-1]}: it divides the {model.num_heads} heads and a node of {per_node} GPUs"
    if model.num_kv_heads < values[-1]:
        why += f", and above the {model.num_kv_heads} key and value heads these are copied"
    return values, why


def _legal_pp(draft: Draft) -> tuple[tuple[int, ...], str]:
    layers, tp, gpus = model_of(draft).num_layers, draft.number("tp"), num_gpus(draft)
    most = min(layers, gpus // tp)
    values = _with_best(draft, list(range(1, most + 1)), "pp")
    return values, f"pp no larger than {values[-1]}: {layers} layers, and tp*pp = {tp}*{values[-1]} on {gpus} GPUs"


def _legal_cp(draft: Draft) -> tuple[tuple[int, ...], str]:
    length, used, gpus = draft.number("sequence_length"), draft.number("tp") * draft.number("pp"), num_gpus(draft)
    most = max(1, gpus // used)
    values = _with_best(draft, [cp for cp in _divisors(max(1, length // 2)) if cp <= most], "cp")
    return values, f"2*cp divides the {length} tokens, and tp*pp*cp = {used}*cp is at most {gpus} GPUs"


def _legal_ep(draft: Draft) -> tuple[tuple[int, ...], str]:
    experts, most = model_of(draft).num_experts, num_gpus(draft) // draft.number("pp")
    values = _with_best(draft, [ep for ep in _divisors(experts) if ep <= most], "ep")
    return values, f"it divides the {experts} experts and dp*cp*tp, which is at most {most}"


def _legal_dp(draft: Draft) -> tuple[tuple[int, ...], str]:
    used = draft.number("tp") * draft.number("pp") * draft.number("cp")
    gpus, size, batch = num_gpus(draft), draft.number("microbatch_size"), draft.number("global_batch_size")
    most = max(1, min(gpus // used, batch // size))
    values = _with_best(draft, list(range(1, most + 1)), "dp")
    why = f"dp no larger than {values[-1]}: {gpus} GPUs / {used} of one replica = {gpus // used}"
    return values, f"{why}, {batch} sequences / microbatches of {size} = {batch // size}; fewer leave GPUs idle"


def _ask_tokens(draft: Draft) -> Question:
    size = units.format_count(num_parameters(model_of(draft)))
    return Question(
        key="dataset_tokens",
        prompt="How many tokens has the dataset",
        default=usual_tokens(draft),
        reason=f"20 for each of {size} parameters, as Chinchilla has it",
        bounds='a count above 0, as "300B"',
    )


def _ask_epochs(draft: Draft) -> Question:
    return Question(
        key="epochs",
        prompt="How often is it read",
        default="1",
        reason="pre-training reads most data once",
        bounds="a number above 0",
    )


def _taken(key: str) -> Callable[[Draft, str], Draft]:
    def take(draft: Draft, text: str) -> Draft:
        written = draft.with_answer(key, text)
        problem_of(written)
        return written

    return take


def _is_long(draft: Draft) -> bool:
    return draft.number("sequence_length") >= LONG_SEQUENCE or (draft.best is not None and draft.best.plan.cp > 1)


def _has_experts(draft: Draft) -> bool:
    return bool(draft.get("model")) and model_of(draft).num_experts > 0


DECISIONS = (
    Step(key="global_batch_size", ask=_ask_batch, take=_take_batch),
    _choice_step("shard", "What do data-parallel ranks split", SHARDS, "each includes the ones before: ZeRO 0 to 3"),
    _choice_step(
        "recompute", "Which activations are computed again", RECOMPUTES, "more of it saves memory and costs time"
    ),
    _degree_step("microbatch_size", "How many sequences has a microbatch", _legal_microbatch),
    _degree_step("tp", "Tensor parallel degree", _legal_tp),
    _degree_step("pp", "Pipeline parallel degree: stages", _legal_pp),
    _degree_step("cp", "Context parallel degree", _legal_cp, _is_long),
    _degree_step("ep", "Expert parallel degree", _legal_ep, _has_experts),
    _degree_step("dp", "Data parallel degree: replicas", _legal_dp),
    Step(key="dataset_tokens", ask=_ask_tokens, take=_taken("dataset_tokens")),
    Step(key="epochs", ask=_ask_epochs, take=_taken("epochs")),
)
