"""`crosszone whatif`: what changes, what bounds the step, what would help, for people and programs; exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from crosszone import service

JOB = """
model: bert-large
workload: {sequence_length: 512, global_batch_size: 1024, precision: bf16, train_tokens: 10B}
cluster:
  zones:
    - {name: north, nodes: [{count: 2, gpu: a100-sxm4-80gb, gpus_per_node: 4, network: 4x100 Gbit/s, price: 2 USD/h}]}
    - {name: south, nodes: [{count: 2, gpu: a100-sxm4-80gb, gpus_per_node: 4, network: 4x100 Gbit/s, price: 2 USD/h}]}
  links:
    - {between: [north, south], bandwidth: 5 Gbit/s, rtt: 20 ms, egress_price: 0.02 USD/GB}
framework: {name: ddp}
plan: {tp: 1, pp: 1, dp: 16, microbatch_size: 8, shard: none, recompute: none}
"""


@pytest.fixture
def job(tmp_path: Path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    return str(path)


def test_json_has_both_predictions_and_every_change(run: Any, job: str) -> None:
    result = run("whatif", job, "--set", "links.*.bandwidth=x2", "--json")
    assert result.code == 0
    value = result.json
    assert set(value) == {
        "schema_version",
        "settings",
        "base",
        "changed",
        "changes",
        "regime",
        "base_regime",
        "advice",
        "warnings",
    }
    assert value["settings"] == ["links.*.bandwidth=x2"]
    changes = {change["name"]: change for change in value["changes"]}
    step = changes["step_seconds"]
    assert (step["base"], step["changed"]) == (value["base"]["step_seconds"], value["changed"]["step_seconds"])
    assert step["changed"] < step["base"]
    assert value["base"]["plan"] == value["changed"]["plan"]
    assert value["advice"] == []
    assert {slope["what"] for slope in value["regime"]["slopes"]} == {"communication", "gpus"}


def test_base_is_the_prediction_of_the_file(run: Any, job: str) -> None:
    predicted = run("predict", job, "--json").json
    del predicted["checks"]
    assert run("whatif", job, "--json").json["base"] == predicted


def test_settings_are_what_the_edited_file_predicts(run: Any, job: str, tmp_path: Path) -> None:
    edited = tmp_path / "edited.yaml"
    edited.write_text(JOB.replace("bandwidth: 5 Gbit/s", "bandwidth: 7 Gbit/s"), encoding="utf-8")
    changed = run("whatif", job, "--set", "links[south,north].bandwidth=7 Gbit/s", "--json").json["changed"]
    predicted = run("predict", str(edited), "--json").json
    del predicted["checks"]
    assert changed == predicted


def test_screen_shows_only_what_changes_best_first(run: Any, job: str) -> None:
    lines = run("whatif", job, "--set", "links.*.bandwidth=x2").out.splitlines()
    assert lines[0] == "bert-large on 16 GPUs in 2 zones, 1024 sequences of 512 tokens a step"
    text = "\n".join(lines)
    assert "With links.*.bandwidth=x2" in text
    assert "step seconds" in text
    assert "memory.peak bytes" not in text, "memory stays the same"
    rows = [line for line in lines if "%" in line or "times" in line]
    assert rows[0].split()[:2] == ["step", "seconds"]
    assert "What would save time" not in text
    assert "mathematics" not in text
    assert max(len(line) for line in lines) <= 80


def test_screen_warns_of_other_mathematics(run: Any, job: str) -> None:
    text = run("whatif", job, "--set", "workload.global_batch_size=x2").out
    assert "This changes the mathematics of training" in text
    assert "a step has 2048 sequences, not 1024" in text
    assert "Goyal" in text


def test_screen_says_where_nothing_changes(run: Any, job: str) -> None:
    assert "No number of the prediction changes." in run("whatif", job, "--set", "links.*.bandwidth=5 Gbit/s").out


def test_without_settings_it_gives_slopes_and_advice(run: Any, job: str) -> None:
    text = run("whatif", job).out
    assert "The step is communication-bound" in text
    assert "all zone links" in text
    same, _, other = text.partition("What would save time with other mathematics")
    assert "--set 'links[north,south].bandwidth=x2'" in same
    assert "constraints.allow" not in same
    assert "--set 'plan.sync.method=streaming_diloco'" in other
    assert "constraints.allow: [local_sgd]" in " ".join(other.split())
    assert max(len(line) for line in text.splitlines()) <= 80
    value = run("whatif", job, "--json").json
    assert value["advice"][0]["seconds_saved"] >= value["advice"][-1]["seconds_saved"] > 0
    assert {slope["what"] for slope in value["base_regime"]["slopes"]} >= {"zone_link", "rtt", "gpu_memory"}


def test_job_may_come_on_standard_input(run: Any, job: str) -> None:
    settings = ("--set", "links.*.rtt=x2", "--json")
    assert run("whatif", "-", *settings, stdin=JOB.encode()).json == run("whatif", job, *settings).json


def test_a_saved_plan_is_the_base(run: Any, job: str, tmp_path: Path) -> None:
    plans = tmp_path / "PLANS.json"
    ranked = service.predict(service.read(job))
    plans.write_text(json.dumps({"plans": [{"plan": service.plan_json(ranked.plan)}]}), encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(JOB.replace("microbatch_size: 8", "microbatch_size: 2"), encoding="utf-8")
    value = run("whatif", str(other), "--plan", f"{plans}#1", "--json").json
    assert value["base"]["plan"]["microbatch_size"] == 8
    assert run("whatif", job, "--plan", f"{plans}#2").code == 2


def test_what_does_not_fit_is_shown_and_exits_3(run: Any) -> None:
    text = JOB.replace("bert-large", "llama-2-7b").replace("shard: none", "shard: parameters").replace("ddp", "fsdp")
    full = run("whatif", "-", "--set", "plan.shard=gradients", "--set", "plan.microbatch_size=64", stdin=text.encode())
    assert full.code == 3
    assert "It does not fit" in full.out
    assert "step seconds" in full.out


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        (["links.*.bandwith=20 Gbit/s"], 2, 'unknown key "bandwith". Did you mean "bandwidth"?'),
        (["links.*.bandwidth=20"], 2, "bandwidth 20 has no unit"),
        (["bandwidth"], 2, "is not a key and a value"),
        (["links[north,east].rtt=1 ms"], 2, 'there is no zone "east"'),
        (["zones[south].nodes[0].count=1"], 2, "the plan uses 8 GPUs in south, node group 0, which has 4."),
        (["plan.shard=parameters"], 3, "ddp: "),
    ],
)
def test_what_cannot_be_exits_with_its_code(run: Any, job: str, settings: list[str], code: int, words: str) -> None:
    arguments = [part for setting in settings for part in ("--set", setting)]
    result = run("whatif", job, *arguments)
    assert (result.code, result.out) == (code, "")
    assert words in result.err
    errors = run("whatif", job, *arguments, "--json")
    assert errors.code == code
    assert any(words.split('"')[0].strip() in json.dumps(one) for one in errors.json["errors"])


def test_all_errors_come_at_once(run: Any, job: str) -> None:
    result = run("whatif", job, "--set", "links[9].rtt=1 ms", "--set", "zones[east].uplink=1 Gbit/s", "--json")
    assert [error["where"] for error in result.json["errors"]] == ["links[9].rtt", "zones[east].uplink"]
