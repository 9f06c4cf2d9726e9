"""What there is: model, GPUs, zones, links, precision, tokens. Each answer is read as the job file would be."""

from __future__ import annotations

from collections.abc import Callable

from crosszone import units
from crosszone.catalog.gpus import gpu, gpu_names
from crosszone.catalog.models import model_names
from crosszone.core.cluster import Gpu
from crosszone.core.model import Model
from crosszone.cost.parameters import num_parameters
from crosszone.errors import SpecError
from crosszone.planner.guide.job_text import problem_of
from crosszone.planner.guide.question import Draft, Question, Step

USUAL_MODEL, USUAL_GPU = "llama-3.1-8b", "a100-sxm4-80gb"
USUAL_LENGTH = 8192
MOST_ZONES = 16
MOST_NODES = 100_000
PRECISIONS = ("bf16", "fp16", "fp8", "fp32")
"""In the order in which they are recommended."""
CHANGES = ("none", "compression", "local_sgd", "compression, local_sgd")
"""What may be allowed to change the mathematics."""


def whole_number(key: str, text: str, low: int, high: int | None) -> int:
    """`text` as a whole number within bounds. SpecError with them."""
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if number < low or (high is not None and number > high):
        bounds = f"from {low} on" if high is None else f"from {low} to {high}"
        raise SpecError.of(f"{key} {text} is not a whole number {bounds}.", where=key, hint=f"Write one {bounds}.")
    return number


def one_of(key: str, text: str, choices: tuple[str, ...], why: str) -> str:
    """`text`, which is one of `choices`. SpecError with all of them and why."""
    if text not in choices:
        raise SpecError.of(f"{key} {text} is not legal: {why}.", where=key, hint=f"Write {', '.join(choices)}.")
    return text


def model_of(draft: Draft) -> Model:
    """The model that was chosen."""
    return problem_of(draft).model


def gpu_of(draft: Draft) -> Gpu:
    """The GPU that was chosen."""
    return gpu(draft.get("gpu", USUAL_GPU))


def zone_step(number: int) -> Step:
    """The nodes of one zone."""
    key = f"nodes_{number}"

    def ask(draft: Draft) -> Question:
        before = draft.get(f"nodes_{number - 1}", "2")
        return Question(
            key=key,
            prompt=f"How many nodes are in zone {number} of {draft.get('zones')}",
            default=before,
            reason="as many as in the zone before" if number > 1 else "the least with a network between nodes",
            bounds=f"a whole number from 1 to {MOST_NODES}; each has {draft.get('gpus_per_node')} GPUs",
            low=1,
            high=MOST_NODES,
        )

    return Step(key=key, ask=ask, take=_counted(key, lambda draft: (1, MOST_NODES)))


def _counted(key: str, bounds: Callable[[Draft], tuple[int, int | None]]) -> Callable[[Draft, str], Draft]:
    def take(draft: Draft, text: str) -> Draft:
        whole_number(key, text, *bounds(draft))
        return _read(draft.with_answer(key, text))

    return take


def _taken(key: str) -> Callable[[Draft, str], Draft]:
    """An answer that the job file's own reader judges."""
    return lambda draft, text: _read(draft.with_answer(key, text))


def _read(draft: Draft) -> Draft:
    problem_of(draft)
    return draft


def _ask_model(draft: Draft) -> Question:
    return Question(
        key="model",
        prompt="Which model is trained",
        default=USUAL_MODEL,
        reason="a common size",
        bounds=f"one of the {len(model_names())} of `crosszone catalog models`, or a path to its config.json",
    )


def _ask_length(draft: Draft) -> Question:
    most = model_of(draft).max_positions
    default = min(USUAL_LENGTH, most or USUAL_LENGTH)
    bound = f"from 1 to {most}, the positions of {model_of(draft).name}" if most else "from 1 on"
    return Question(
        key="sequence_length",
        prompt="How many tokens has a sequence",
        default=str(default),
        reason="usual in pre-training",
        bounds=bound,
        low=1,
        high=most,
    )


def _ask_gpu(draft: Draft) -> Question:
    return Question(
        key="gpu",
        prompt="Which GPU",
        default=USUAL_GPU,
        reason="common in several zones",
        bounds=f"one of the {len(gpu_names())} of `crosszone catalog gpus`; the file may mix them later",
    )


def _ask_gpus_per_node(draft: Draft) -> Question:
    chosen = gpu_of(draft)
    return Question(
        key="gpus_per_node",
        prompt="How many GPUs has a node",
        default=str(chosen.system_gpus_per_node),
        reason=f"the standard system of {chosen.name}",
        bounds=f"from 1 to {chosen.system_gpus_per_node}, the standard system of {chosen.name}",
        low=1,
        high=chosen.system_gpus_per_node,
    )


def _ask_zones(draft: Draft) -> Question:
    return Question(
        key="zones",
        prompt="In how many zones are they",
        default="1",
        reason="the same zone first: spanning must earn what links cost",
        bounds=f"from 1 to {MOST_ZONES}",
        low=1,
        high=MOST_ZONES,
    )


def _ask_bandwidth(draft: Draft) -> Question:
    return Question(
        key="bandwidth",
        prompt="What do links between zones carry, one direction, all flows together",
        default="10 Gbit/s",
        reason="illustrative: measure yours with iperf3 and many streams",
        bounds='a rate with its unit, as "10 Gbit/s"; the file may differ by link later',
    )


def _ask_rtt(draft: Draft) -> Question:
    return Question(
        key="rtt",
        prompt="How long is a round trip between zones",
        default="30 ms",
        reason="illustrative: measure yours with ping; some 10 ms per 1000 km of fibre",
        bounds='a time with its unit, as "28.6 ms"',
    )


def _ask_allow(draft: Draft) -> Question:
    return Question(
        key="allow",
        prompt="May zones agree in ways that change the mathematics of training",
        default="none",
        reason="every step stays that of one cluster",
        bounds="compression sends gradients in fewer bits, local_sgd agrees only every few steps",
        choices=CHANGES,
    )


def _take_allow(draft: Draft, text: str) -> Draft:
    return draft.with_answer("allow", one_of("allow", text, CHANGES, "there is no such way"))


def _ask_precision(draft: Draft) -> Question:
    chosen = gpu_of(draft)
    legal = _precisions(chosen)
    peaks = ", ".join(f"{one} {units.format_flop_per_second(chosen.peak(one))}" for one in legal)
    return Question(
        key="precision",
        prompt="In which precision is it computed",
        default=legal[0],
        reason="the range of fp32 without loss scaling" if legal[0] == "bf16" else "the best that this GPU has",
        bounds=f"what {chosen.name} has: {peaks}",
        choices=legal,
    )


def _take_precision(draft: Draft, text: str) -> Draft:
    chosen = gpu_of(draft)
    return draft.with_answer("precision", one_of("precision", text, _precisions(chosen), f"{chosen.name} lacks it"))


def _precisions(chosen: Gpu) -> tuple[str, ...]:
    return tuple(one for one in PRECISIONS if chosen.peak(one) is not None)


def _spans(draft: Draft) -> bool:
    return draft.number("zones") > 1


def usual_tokens(draft: Draft) -> str:
    """Twenty tokens a parameter. Source: Hoffmann et al. 2022 (Chinchilla, arXiv 2203.15556), table 3."""
    tokens = 20 * num_parameters(model_of(draft))
    if tokens >= 1e12:
        return f"{tokens / 1e12:.3g}T"
    return f"{tokens / 1e9:.0f}B" if tokens >= 1e9 else f"{tokens / 1e6:.0f}M"


INVENTORY = (
    Step(key="model", ask=_ask_model, take=_taken("model")),
    Step(
        key="sequence_length",
        ask=_ask_length,
        take=_counted("sequence_length", lambda draft: (1, model_of(draft).max_positions)),
    ),
    Step(key="gpu", ask=_ask_gpu, take=_taken("gpu")),
    Step(
        key="gpus_per_node",
        ask=_ask_gpus_per_node,
        take=_counted("gpus_per_node", lambda draft: (1, gpu_of(draft).system_gpus_per_node)),
    ),
    Step(key="zones", ask=_ask_zones, take=_counted("zones", lambda draft: (1, MOST_ZONES))),
    Step(key="bandwidth", ask=_ask_bandwidth, take=_taken("bandwidth"), applies=_spans),
    Step(key="rtt", ask=_ask_rtt, take=_taken("rtt"), applies=_spans),
    Step(key="precision", ask=_ask_precision, take=_take_precision),
    Step(key="allow", ask=_ask_allow, take=_take_allow, applies=_spans),
)
