"""The guide: what is legal follows from the answers before, what is recommended is the planner's best."""

from collections.abc import Mapping

import pytest

from crosszone import service
from crosszone.errors import CrossZoneError, InfeasiblePlan, SpecError
from crosszone.planner.guide import Draft, Question, answered, back, job_text, keys, question

SMALL = {"model": "opt-350m", "sequence_length": "2048", "nodes_1": "1"}


def asked(draft: Draft) -> Question:
    found = question(draft)
    assert found is not None
    return found


def until(key: str, given: Mapping[str, str] = SMALL) -> Draft:
    """The draft at the question `key`, with these answers and else what is recommended."""
    draft = Draft()
    while (one := asked(draft)).key != key:
        draft = answered(draft, given.get(one.key, ""))
    return draft


def finished(given: Mapping[str, str] = SMALL) -> Draft:
    draft = Draft()
    while (one := question(draft)) is not None:
        draft = answered(draft, given.get(one.key, ""))
    return draft


def refusal(draft: Draft, text: str) -> str:
    with pytest.raises(CrossZoneError) as raised:
        answered(draft, text)
    return str(raised.value)


def test_order_is_model_gpus_zones_links_techniques_degrees_tokens() -> None:
    draft = finished({**SMALL, "zones": "2", "nodes_2": "1"})
    assert [key for key, _ in draft.answers] == [
        *("model", "sequence_length", "gpu", "gpus_per_node", "zones", "nodes_1", "nodes_2", "bandwidth", "rtt"),
        *("precision", "allow", "global_batch_size", "shard", "recompute", "microbatch_size", "tp", "pp", "dp"),
        *("dataset_tokens", "epochs"),
    ]
    assert {key for key, _ in draft.answers} <= set(keys(2))


def test_links_are_asked_for_only_between_zones() -> None:
    assert not {"bandwidth", "rtt", "allow"} & {key for key, _ in finished().answers}


def test_every_question_says_what_is_legal_and_why_its_default() -> None:
    draft = Draft()
    while (one := question(draft)) is not None:
        assert one.bounds
        assert one.reason
        assert not one.choices or one.default in one.choices, one.key
        draft = answered(draft, SMALL.get(one.key, ""))


def test_recommended_answers_give_the_best_plan() -> None:
    draft = finished()
    problem = service.read_text(job_text(draft).partition("framework:")[0])
    best = service.plan(problem, top=1).plans[0]
    assert draft.best is not None
    assert draft.best.prediction.step_seconds == pytest.approx(best.prediction.step_seconds)


@pytest.mark.parametrize(
    "given",
    [SMALL, {**SMALL, "tp": "4"}, {**SMALL, "zones": "2", "nodes_2": "1", "pp": "2"}, {**SMALL, "dp": "3"}],
    ids=["recommended", "tp 4", "two zones", "idle"],
)
def test_written_job_is_predicted_as_it_was_shown(given) -> None:
    draft = finished(given)
    assert draft.best is not None
    ranked = service.predict(service.read_text(job_text(draft)))
    assert ranked.prediction.step_seconds == pytest.approx(draft.best.prediction.step_seconds)
    assert ranked.prediction.train_seconds is not None


def test_uneven_layers_are_written_stage_by_stage() -> None:
    draft = finished({**SMALL, "zones": "2", "nodes_2": "1", "pp": "5", "gpus_per_node": "5", "dp": "1"})
    assert draft.best is not None
    plan = draft.best.plan  # 24 layers on 5 stages
    assert [stage.num_layers for stage in service.read_text(job_text(draft)).plan.stages or ()] == [
        stage.num_layers for stage in plan.stages
    ]
    ranked = service.predict(service.read_text(job_text(draft)))
    assert ranked.prediction.step_seconds == pytest.approx(draft.best.prediction.step_seconds)


def test_tp_is_bounded_by_heads_and_node() -> None:
    draft = until("tp")
    one = asked(draft)
    assert one.choices == ("1", "2", "4", "8")
    assert one.bounds == "tp no larger than 8: it divides the 16 heads and a node of 8 GPUs"
    assert "tp 3 is not legal" in refusal(draft, "3")
    assert "node of 8 GPUs" in refusal(draft, "16")


def test_tp_above_the_key_and_value_heads_is_told() -> None:
    model = {"model": "qwen2.5-7b", "sequence_length": "2048", "nodes_1": "1", "gpus_per_node": "7"}
    one = asked(until("tp", model))  # 28 heads, 4 for keys and values
    assert one.choices == ("1", "7")
    assert "above the 4 key and value heads these are copied" in one.bounds


def test_pp_is_bounded_by_layers_and_gpus() -> None:
    assert (
        asked(until("pp", {**SMALL, "tp": "4"})).bounds == "pp no larger than 2: 24 layers, and tp*pp = 4*2 on 8 GPUs"
    )


def test_dp_follows_from_the_others() -> None:
    one = asked(until("dp", {**SMALL, "tp": "2", "pp": "2"}))
    assert one.choices == ("1", "2")
    assert "8 GPUs / 4 of one replica = 2" in one.bounds


def test_microbatches_divide_the_batch() -> None:
    draft = until("microbatch_size", {**SMALL, "global_batch_size": "24"})
    assert asked(draft).choices == ("1", "2", "3", "4", "6", "8", "12", "24")
    assert "divides the batch of 24 sequences" in refusal(draft, "5")


@pytest.mark.parametrize(
    ("key", "text", "fragment"),
    [
        ("model", "llama-9", "unknown model"),
        ("sequence_length", "4096", "from 1 to 2048"),
        ("sequence_length", "long", "not a whole number"),
        ("gpu", "a100-sxm9-80gb", "a100-sxm4-80gb"),
        ("gpus_per_node", "16", "from 1 to 8"),
        ("zones", "0", "from 1 to 16"),
        ("nodes_1", "-1", "from 1 to"),
        ("precision", "fp8", "a100-sxm4-80gb lacks it"),
        ("global_batch_size", "0", "from 1 on"),
        ("recompute", "some", "none, selective, full"),
        ("dataset_tokens", "many", "tokens"),
        ("epochs", "-1", "epochs"),
    ],
)
def test_illegal_answers_are_refused_with_what_is_legal(key, text, fragment) -> None:
    assert fragment in refusal(until(key), text)


@pytest.mark.parametrize(("key", "text"), [("bandwidth", "10"), ("rtt", "fast"), ("allow", "magic")])
def test_links_need_units(key, text) -> None:
    refusal(until(key, {**SMALL, "zones": "2"}), text)


def test_what_does_not_fit_is_refused_with_the_memory_that_it_lacks() -> None:
    big = {"model": "llama-2-7b", "sequence_length": "4096", "nodes_1": "1", "gpus_per_node": "2"}
    with pytest.raises(InfeasiblePlan, match="GB") as raised:
        answered(until("global_batch_size", {**big, "model": "llama-3.1-70b"}), "")
    assert raised.value.findings[0].where == "global_batch_size"


def test_another_choice_than_the_best_is_searched_around() -> None:
    draft = until("recompute")
    assert draft.best is not None
    full = answered(draft, "full").best
    assert full is not None
    assert full.plan.recompute == "full"
    assert full.prediction.step_seconds > draft.best.prediction.step_seconds


def test_the_best_choice_is_not_searched_again() -> None:
    draft = until("recompute")
    assert answered(draft, "").best is draft.best


def test_back_takes_the_last_answer_away() -> None:
    draft = until("pp", {**SMALL, "recompute": "full"})
    again = back(draft)
    assert asked(again).key == "tp"
    assert again.answers == draft.answers[:-1]
    assert back(Draft()) == Draft()


def test_experts_are_asked_for_where_there_are_some() -> None:
    moe = {"model": "moonlight-16b-a3b", "sequence_length": "4096", "nodes_1": "4"}
    one = asked(until("ep", moe))
    assert "divides the 64 experts" in one.bounds


def test_a_model_may_be_a_file_only_where_there_is_a_folder() -> None:
    with pytest.raises(SpecError, match="not read from a folder"):
        answered(Draft(), "./config.json")


def test_default_tokens_are_twenty_a_parameter() -> None:
    assert asked(until("dataset_tokens")).default == "7B"  # 20 * 331 M
    assert asked(until("dataset_tokens", {**SMALL, "model": "opt-1.3b"})).default == "26B"


def test_text_is_quoted_where_yaml_would_read_it_otherwise() -> None:
    draft = finished({**SMALL, "dataset_tokens": "1e9"})
    assert service.read_text(job_text(draft)).workload.train_tokens == 1e9
