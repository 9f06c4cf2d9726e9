"""Plans that were saved: read back as they were, or refused with everything that is wrong in them."""

import json
from typing import Any

import pytest

from crosszone import service
from crosszone.catalog.models import model
from crosszone.core.codec import to_json
from crosszone.core.plan import Plan, Replica, Stage, Sync
from crosszone.errors import SpecError
from crosszone.spec.plan_file import read_plan

PLAN = Plan(
    framework="megatron",
    tp=4,
    pp=2,
    cp=1,
    ep=1,
    dp=3,
    dp_shard=3,
    num_virtual_stages=1,
    microbatch_size=1,
    schedule="1f1b",
    sequence_parallel=True,
    shard="optimizer",
    recompute="selective",
    sync=Sync(codecs=(("gradients", "bf16"),), num_streams=4),
    bucket_bytes=25e6,
    prefetch=0,
    stages=tuple(
        Stage(first_layer=first, num_layers=16, zone=None, node_group=None, tp=4, dp=3, recompute="selective")
        for first in (0, 16)
    ),
    replicas=(
        Replica(num_replicas=2, zones=("north", "south"), node_groups=(0, 0), num_microbatches=20, weight=0.625),
        Replica(num_replicas=1, zones=("south", "north"), node_groups=(0, 1), num_microbatches=24, weight=0.375),
    ),
)


def saved() -> dict[str, Any]:
    return json.loads(json.dumps(service.plan_json(PLAN)))


def findings(value: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(SpecError) as caught:
        read_plan(value if isinstance(value, str) else json.dumps(value), where="P.json")
    return [(one.where, one.message, one.hint) for one in caught.value.findings]


def test_a_plan_is_read_back_as_it_was() -> None:
    assert read_plan(json.dumps(saved()), where="P.json") == PLAN


@pytest.mark.parametrize("wrapped", [{"step_seconds": 1.0, "plan": saved()}, {"plans": [{"plan": saved()}]}])
def test_predictions_and_answers_hold_plans(wrapped: dict[str, Any]) -> None:
    assert read_plan(json.dumps(wrapped), where="P.json") == PLAN


def test_the_number_chooses_among_plans() -> None:
    other = {**saved(), "microbatch_size": 2}
    text = json.dumps({"plans": [{"plan": saved()}, {"plan": other}]})
    assert read_plan(text, where="P.json", number=2).microbatch_size == 2
    with pytest.raises(SpecError, match="there is no plan 3: the file has 2"):
        read_plan(text, where="P.json", number=3)
    with pytest.raises(SpecError, match="Nothing fitted"):
        read_plan('{"plans": []}', where="P.json")


def test_everything_that_is_wrong_is_told_at_once() -> None:
    value = saved()
    value |= {"schedul": "1f1b", "tp": "four", "dp": 0, "shard": "gradient", "bucket_bytes": True}
    value["stages"][0]["recompute"] = 1
    value["replicas"][1]["zones"] = "north"
    value["sync"]["codecs"] = ["bf16"]
    del value["pp"]
    assert findings(value) == [
        ("P.json: schedul", 'unknown key "schedul".', 'Did you mean "schedule"?'),
        ("P.json: tp", '"four" is not a whole number.', ""),
        ("P.json: pp", "pp is missing.", ""),
        ("P.json: dp", "dp is 0.", "It is 1 or more."),
        ("P.json: shard", 'there is no shard "gradient".', 'Did you mean "gradients"?'),
        ("P.json: sync.codecs", '["bf16"] is not an object of names.', ""),
        ("P.json: bucket_bytes", "true is not a number.", ""),
        ("P.json: stages[0].recompute", "1 is not text.", ""),
        ("P.json: replicas[1].zones", '"north" is not a list.', ""),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pp": 4}, "pp is 4, but there are 2 stages."),
        ({"dp": 4}, "dp is 4, but there are 3 replicas."),
    ],
)
def test_parts_that_contradict_each_other_are_refused(change: dict[str, Any], message: str) -> None:
    assert findings({**saved(), **change})[0][1] == message


def test_what_is_no_plan_is_refused() -> None:
    assert "it is not JSON" in findings("plan: {tp: 1}")[0][1]
    assert findings("[1]")[0][1] == "[1] is not an object with the keys of a plan."


def test_a_file_of_another_model_of_the_same_depth_is_refused() -> None:
    """Both have 40 layers of 40 heads, so that the plan alone would pass."""
    made_for, other = model("llama-2-13b"), model("opt-13b")
    answer = json.dumps({"problem": {"model": to_json(made_for)}, "plans": [{"plan": saved()}]})
    assert read_plan(answer, where="P.json", model=made_for) == PLAN
    with pytest.raises(SpecError) as caught:
        read_plan(answer, where="P.json", model=other)
    (finding,) = caught.value.findings
    assert (finding.code, finding.where) == ("another_model", "P.json")
    assert finding.message == (
        "the plan was made for llama-2-13b, whose ffn_size is 13824; that of opt-13b, the job's model, is 20480."
    )
    assert "the job that the plan was made for" in finding.hint


@pytest.mark.parametrize(
    "problem",
    [
        None,
        "a job",
        {},
        {"model": "llama-2-13b"},
        {"model": {"name": "13b", "num_layers": 40}},
        {"model": {"num_layers": 2}},
    ],
)
def test_what_a_file_does_not_say_of_its_model_refuses_nothing(problem: Any) -> None:
    """Files of older versions, plans written by hand, another name; another depth is told where the plan is checked."""
    text = json.dumps({"problem": problem, "plan": saved()})
    assert read_plan(text, where="P.json", model=model("llama-2-13b")) == PLAN


def test_the_service_takes_the_number_after_the_path(tmp_path: Any) -> None:
    path = tmp_path / "PLANS.json"
    path.write_text(json.dumps({"plans": [{"plan": {**saved(), "microbatch_size": 2}}, {"plan": saved()}]}))
    assert service.read_plan(f"{path}#2") == PLAN
    assert service.read_plan(path).microbatch_size == 2
    with pytest.raises(SpecError, match="cannot read the plan file"):
        service.read_plan(tmp_path / "none.json")
