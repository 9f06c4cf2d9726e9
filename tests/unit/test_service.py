"""The verbs as functions: reading, completing and predicting, searching with the clock, JSON of what they give."""

import dataclasses
import json
import sys
import types

import pytest

import crosszone
from crosszone import service
from crosszone.core.answer import Answer, RankedPlan, RejectedPlan, Search
from crosszone.core.plan import IdleGpus, Plan, Replica, Stage
from crosszone.core.problem import Problem
from crosszone.errors import SpecError, UnknownName

JOB = """
model: llama-2-7b
workload: {sequence_length: 4096, global_batch_size: 32}
cluster:
  zones:
    - {name: north, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 2}]}
"""
PLAN = Plan(
    framework="fsdp",
    tp=1,
    pp=1,
    cp=1,
    ep=1,
    dp=2,
    dp_shard=2,
    num_virtual_stages=1,
    microbatch_size=1,
    schedule="1f1b",
    sequence_parallel=False,
    shard="parameters",
    recompute="full",
    stages=(Stage(first_layer=0, num_layers=32, zone="north", node_group=0, tp=1, dp=2, recompute="full"),),
    replicas=(Replica(num_replicas=2, zones=("north",), node_groups=(0,), num_microbatches=16, weight=1.0),),
    idle_gpus=(IdleGpus(zone="north", node_group=0, num_gpus=6),),
)


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Stands in for a Prediction where only its place in the JSON matters."""

    step_seconds: float = 2.0
    gpu_dollars: float = float("nan")
    assumed: tuple[str, ...] = ()


@pytest.fixture
def problem() -> Problem:
    return service.read_text(JOB)


def fake_module(monkeypatch: pytest.MonkeyPatch, name: str, **attributes: object) -> None:
    module = types.ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule looks at what the other modules make up."""
    fake_module(
        monkeypatch,
        "crosszone.planner.lint",
        checked=lambda problem, ranked: ranked,
        checked_answer=lambda answer: answer,
    )


def answer(problem: Problem) -> Answer:
    ranked = RankedPlan(plan=PLAN, prediction=Forecast(), reasons=("It fits.",))  # type: ignore[arg-type]
    return Answer(
        problem=problem,
        plans=(ranked,),
        baseline=ranked,
        verdict="One zone is all there is.",
        search=Search(num_candidates=10, num_pruned=4, num_feasible=3),
        rejected=(RejectedPlan(plan=PLAN, reasons=("No.",)),),
    )


def test_reads_a_file_a_text_and_a_mapping_alike(tmp_path, problem) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    mapping = {
        "model": "llama-2-7b",
        "workload": {"sequence_length": 4096, "global_batch_size": 32},
        "cluster": {"zones": [{"name": "north", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]}]},
    }
    assert service.read(path) == service.read(str(path)) == service.read(mapping) == problem


def test_unknown_frameworks_are_told_all_at_once_with_the_nearest() -> None:
    with pytest.raises(UnknownName) as raised:
        service.read_text(JOB + "framework: {name: megatorn}\nconstraints: {frameworks: [fsdp, dppp]}\n")
    findings = raised.value.findings
    assert [finding.where for finding in findings] == ["framework.name", "constraints.frameworks[1]"]
    assert '"megatron"' in findings[0].hint
    assert raised.value.exit_code == 2


def test_unknown_frameworks_are_told_together_with_whatever_else_is_wrong() -> None:
    job = JOB.replace("global_batch_size: 32", "global_batch_size: 32 tokens")
    with pytest.raises(SpecError) as raised:
        service.read_text(job + "framework: {name: megatorn}\nconstraints: {frameworks: [fsdp, 7, dppp]}\n")
    places = [finding.where for finding in raised.value.findings]
    assert "workload.global_batch_size" in places
    assert places[-2:] == ["framework.name", "constraints.frameworks[2]"]


@pytest.mark.parametrize("also_wrong", [False, True])
def test_a_framework_that_is_not_at_hand_is_refused(also_wrong: bool) -> None:
    job = JOB.replace("global_batch_size: 32", "global_batch_size: 32 tokens") if also_wrong else JOB
    text = job + "framework: {name: megatron}\nconstraints: {frameworks: [%s]}\n"
    with pytest.raises(SpecError) as raised:
        service.read_text(text % "ddp, torchtitan")
    found = raised.value.findings[-1]
    assert found.where == "framework.name"
    assert "megatron, which is not among constraints.frameworks: ddp, torchtitan" in found.message
    assert "leave framework.name out" in found.hint
    assert service.read_text(text.replace(" tokens", "") % "ddp, megatron").framework == "megatron"


def test_known_frameworks_pass() -> None:
    assert service.read_text(JOB + "framework: {name: fsdp}\n").framework == "fsdp"


def test_text_from_elsewhere_may_name_no_files() -> None:
    with pytest.raises(SpecError):
        service.read_text(JOB.replace("llama-2-7b", "./config.json"))


@pytest.mark.usefixtures("unchecked")
def test_predict_completes_the_plan_and_hands_over_the_frameworks_facts(monkeypatch, problem) -> None:
    seen = []
    fake_module(monkeypatch, "crosszone.planner.complete", complete=lambda problem, **more: PLAN)
    fake_module(monkeypatch, "crosszone.timeline.predict", predict_plan=lambda *given: seen.append(given) or Forecast())
    ranked = service.predict(problem)
    assert (ranked.plan, ranked.prediction) == (PLAN, Forecast())
    ((given_problem, given_plan, framework),) = seen
    assert (given_problem, given_plan, framework.name) == (problem, PLAN, "fsdp")


@pytest.mark.usefixtures("unchecked")
def test_plan_holds_the_clock(monkeypatch, problem) -> None:
    fake_module(monkeypatch, "crosszone.planner.search", search=lambda problem, top, **more: answer(problem))
    search = service.plan(problem).search
    assert (search.num_candidates, search.num_pruned, search.num_feasible) == (10, 4, 3)
    assert search.elapsed_seconds is not None
    assert 0 <= search.elapsed_seconds < 1


@pytest.mark.usefixtures("unchecked")
def test_plan_asks_for_as_many_as_wanted(monkeypatch, problem) -> None:
    seen = []
    fake_module(
        monkeypatch, "crosszone.planner.search", search=lambda problem, top, **more: seen.append(top) or answer(problem)
    )
    service.plan(problem)
    service.plan(problem, top=3)
    assert seen == [service.DEFAULT_TOP, 3]
    with pytest.raises(SpecError, match="top is 0"):
        service.plan(problem, top=0)


def test_prediction_json_has_the_forecast_on_top_and_the_plan_below() -> None:
    value = service.prediction_json(RankedPlan(plan=PLAN, prediction=Forecast()))  # type: ignore[arg-type]
    assert value["step_seconds"] == 2.0
    assert value["gpu_dollars"] is None
    assert value["plan"]["world_size"] == 2
    assert value["plan"]["zone_axis"] == "none"
    assert value["plan"]["idle_gpus"] == [{"zone": "north", "node_group": 0, "num_gpus": 6}]
    assert value["plan"]["stages"][0]["num_layers"] == 32


def test_answer_json_completes_every_plan_in_it(problem) -> None:
    value = service.answer_json(answer(problem))
    for plan in (value["plans"][0]["plan"], value["baseline"]["plan"], value["rejected"][0]["plan"]):
        assert (plan["world_size"], plan["zone_axis"]) == (2, "none")
    assert value["plans"][0]["reasons"] == ["It fits."]
    assert value["problem"]["model"]["name"] == "llama-2-7b"
    json.dumps(value, allow_nan=False)


def test_answer_json_without_plans_has_null_for_the_baseline(problem) -> None:
    empty = dataclasses.replace(answer(problem), plans=(), baseline=None)
    value = service.answer_json(empty)
    assert (value["plans"], value["baseline"]) == ([], None)


def test_starter_job_is_a_job_and_the_schema_accepts_it() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from ruamel.yaml import YAML

    text = service.starter_job()
    assert service.read_text(text).cluster.num_gpus == 32
    jsonschema.validate(YAML(typ="safe").load(text), service.job_schema())


@pytest.mark.parametrize("kind", sorted({*service.CATALOGS} - {"prices", "egress", "links"}))  # found by place
def test_catalog_lists_and_finds_by_name(kind) -> None:
    entries = service.catalog(kind)
    names = [entry.name for entry in entries]
    assert len(set(names)) == len(names) > 3
    assert service.catalog(kind, names[0]) == entries[:1]
    with pytest.raises(UnknownName):
        service.catalog(kind, "no-such-thing")


def test_catalog_json_says_where_every_figure_comes_from() -> None:
    for kind in service.CATALOGS:
        for value in service.catalog_json(service.catalog(kind)):
            sources = [fact["source"] for fact in value["facts"]] if "facts" in value else [value["source"]]
            assert sources, value["name"]
            assert all(sources), value["name"]


def test_catalog_of_something_else_names_the_kinds() -> None:
    with pytest.raises(UnknownName, match="gpus"):
        service.catalog("gpu")


def test_every_public_name_is_there_and_loaded_late() -> None:
    assert all(getattr(crosszone, name) is not None for name in crosszone.__all__)
    assert set(crosszone.__all__) <= set(dir(crosszone))


def test_every_verb_is_there_under_one_name_and_nothing_else_is() -> None:
    assert all(getattr(service, name) is not None for name in service.__all__)
    assert len(set(service.__all__)) == len(service.__all__)
    with pytest.raises(AttributeError, match="no attribute 'forecast'"):
        _ = service.forecast  # type: ignore[attr-defined]
    assert crosszone.plan is service.plan
    with pytest.raises(AttributeError):
        _ = crosszone.no_such_name
