"""`crosszone simulate`: the trace file, the summary for people and programs, and its exit code."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from crosszone import service
from crosszone.cli import main
from crosszone.core import simulation
from crosszone.trace import detail

JOB = """
model: {num_layers: 8, hidden_size: 1024, ffn_size: 2816, num_heads: 8, num_kv_heads: 4, vocab_size: 32000}
workload: {sequence_length: 2048, global_batch_size: 16, precision: bf16}
cluster:
  zones:
    - {name: north, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 4, network: 100 Gbit/s}]}
    - {name: south, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 4, network: 100 Gbit/s}]}
  links: [{between: [north, south], bandwidth: 1 Gbit/s, rtt: 20 ms}]
framework: {name: megatron}
plan: {tp: 4, pp: 2, microbatch_size: 1}
"""


@pytest.fixture
def job(tmp_path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return str(path)


def test_the_trace_is_written_whole_and_beside_nothing_else(run, job, tmp_path) -> None:
    path = tmp_path / "trace.json"
    path.write_text("before")
    result = run("simulate", job, "-o", str(path))
    assert result.code == 0
    assert result.err == f"Wrote {path}; open it in https://ui.perfetto.dev\n"
    events = json.loads(path.read_text())["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X", "s", "f", "C"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["job.yaml", "trace.json"]


def test_a_file_is_not_touched_where_writing_fails(run, job, tmp_path, monkeypatch) -> None:
    def broken(timeline):
        yield "{"
        raise OSError(28, "No space left on device")

    path = tmp_path / "trace.json"
    path.write_text("before")
    monkeypatch.setattr(service, "trace_text", broken)
    assert run("simulate", job, "-o", str(path)).code == 1
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2


def test_screen_shows_a_line_per_stage_and_how_busy_all_is(run, job) -> None:
    text = run("simulate", job).out
    lines = text.splitlines()
    chart = [line.split(" ", 1) for line in (line.strip() for line in lines) if line[:2] in ("0 ", "1 ")]
    assert len(chart) == 4  # twice: the chart, and the table below it
    assert set(chart[0][1]) <= set("FBWO·")
    assert "F forward, B backward, · waiting" in text
    for shown in ("step", "pipeline", "agreement and optimizer", "north → south", "1 Gbit/s", "One step", "Stages"):
        assert shown in text
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("width", [30, 40, 50])
def test_narrow_screens_lose_no_number(run, job, monkeypatch, width) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = run("simulate", job).out
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_json_is_the_summary(run, job) -> None:
    value = run("simulate", job, "--json").json
    predicted = run("predict", job, "--json").json
    assert value["step_seconds"] == predicted["step_seconds"]
    assert value["fingerprint"] == predicted["fingerprint"]
    assert value["plan"] == predicted["plan"]
    assert (value["schema_version"], value["fits"]) == (1, True)
    assert [stage["zone"] for stage in value["stages"]] == ["north", "south"]
    assert {link["step_bytes"] for link in value["links"]} == {link["step_bytes"] for link in predicted["links"]}
    assert "detail" not in value


def test_detail_gives_the_timeline_in_so_many_slices(run, job) -> None:
    value = run("simulate", job, "--json", "--detail", "20").json
    slices = [one for track in value["detail"]["tracks"] for one in track["slices"]]
    assert 8 <= len(slices) <= 20
    assert value["detail"]["is_merged"]
    whole = run("simulate", job, "--json", "--detail", "100000").json["detail"]
    assert sum(len(track["slices"]) for track in whole["tracks"]) == value["num_spans"]
    assert not whole["is_merged"]


def test_dash_writes_the_trace_to_standard_output(run, job) -> None:
    result = run("simulate", job, "-o", "-")
    assert json.loads(result.out)["traceEvents"]
    assert result.err == ""


def test_job_from_standard_input(run) -> None:
    assert run("simulate", "-", "--json", stdin=JOB.encode()).json["step_seconds"] > 0.0


@pytest.mark.parametrize(
    ("arguments", "where"),
    [(("-o", "-", "--json"), "--output"), (("--detail", "5"), "--detail"), (("--detail", "0", "--json"), "--detail")],
)
def test_options_that_contradict(run, job, arguments, where) -> None:
    result = run("simulate", job, *arguments)
    assert result.code == 2
    assert where in result.out + result.err


def test_output_that_cannot_be_written_fails_before_the_work(run, job, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(service, "simulate", lambda problem, plan, **_: pytest.fail("it simulated first"))
    result = run("simulate", job, "-o", str(tmp_path / "nowhere" / "trace.json"), "--json")
    assert result.code == 2
    assert result.json["errors"][0]["code"] == "unwritable"


def test_a_saved_plan_is_played_and_predicted(run, job, tmp_path) -> None:
    free, plans = tmp_path / "free.yaml", tmp_path / "plans.json"
    free.write_text(JOB.replace("plan: {tp: 4, pp: 2, microbatch_size: 1}", ""))
    answer = run("plan", str(free), "--json", "--top", "3", "-o", str(plans)).json
    assert len(answer["plans"]) == 3
    for number in (1, 3):
        value = run("simulate", str(free), "--plan", f"{plans}#{number}", "--json").json
        assert value["plan"] == answer["plans"][number - 1]["plan"]
        assert value["step_seconds"] == pytest.approx(answer["plans"][number - 1]["prediction"]["step_seconds"])
        predicted = run("predict", str(free), "--plan", f"{plans}#{number}", "--json").json
        assert predicted["plan"] == answer["plans"][number - 1]["plan"]
        assert predicted["memory"] == answer["plans"][number - 1]["prediction"]["memory"]
    for verb in ("simulate", "predict"):
        result = run(verb, str(free), "--plan", f"{plans}#4", "--json")
        assert (result.code, result.json["errors"][0]["code"]) == (2, "unknown_name")


@pytest.mark.parametrize("verb", ["simulate", "predict"])
def test_a_plan_of_another_job_is_refused_with_all_that_differs(run, job, tmp_path, verb) -> None:
    other, plans = tmp_path / "other.yaml", tmp_path / "plans.json"
    run("plan", job, "-o", str(plans))
    other.write_text(
        JOB.replace("num_layers: 8", "num_layers: 12").replace("global_batch_size: 16", "global_batch_size: 32")
    )
    result = run(verb, str(other), "--plan", str(plans), "--json")
    assert result.code == 2
    messages = " ".join(error["message"] for error in result.json["errors"])
    for number in ("8 layers", "12", "16", "32"):
        assert number in messages


def test_what_does_not_fit_is_played_all_the_same_and_exits_3(run, job, monkeypatch, tmp_path) -> None:
    real = service.simulate

    def too_large(problem, plan, **more):
        timeline = real(problem, plan, **more)
        memory = dataclasses.replace(timeline.prediction.memory, fits=False)
        return dataclasses.replace(timeline, prediction=dataclasses.replace(timeline.prediction, memory=memory))

    monkeypatch.setattr(service, "simulate", too_large)
    path = tmp_path / "trace.json"
    result = run("simulate", job, "-o", str(path), "--json")
    assert (result.code, result.json["fits"]) == (3, False)
    assert path.exists()


def test_every_field_of_the_json_is_explained() -> None:
    text = (Path(__file__).parents[3] / "docs/reference/timeline.md").read_text(encoding="utf-8")
    for noun in (simulation.Simulation, simulation.StageUse, simulation.LinkUse, detail.Detail, detail.Slice):
        part = text.partition(f"\n## {noun.__name__}\n")[2].partition("\n## ")[0]
        documented = re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)
        assert documented == [field.name for field in dataclasses.fields(noun)]


@pytest.mark.generated
def test_the_reference_shows_the_help(run) -> None:
    text = (Path(__file__).parents[3] / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert f"```\n$ crosszone simulate --help\n{run('simulate', '--help').out.rstrip()}\n```" in text


HYPOTHETICAL = """
model: llama-3.2-1b
workload: {sequence_length: 2048, global_batch_size: 32, precision: bf16}
cluster:
  zones:
    - {name: a, nodes: [{count: 1, gpu: h100-sxm5-80gb, gpus_per_node: 2}]}
    - {name: b, nodes: [{count: 1, gpu: h100-sxm5-80gb, gpus_per_node: 2}]}
  links: [{between: [a, b], bandwidth: 20 Gbit/s, rtt: 40 ms}]
framework: {name: megatron}
plan: {pp: 4, schedule: SCHEDULE}
"""


@pytest.mark.parametrize(
    "schedule", ["zb_h1", "zbv", "dualpipe", "cross_1f1b", "cross_ud", "cross_ud_sub", "cross_wave"]
)
def test_an_order_of_work_that_no_framework_has_is_played_when_asked(schedule, tmp_path, capsys) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(HYPOTHETICAL.replace("SCHEDULE", schedule))
    assert main(["simulate", str(path), "--json"]) == 3
    assert "has no schedule" in capsys.readouterr().out
    assert main(["simulate", str(path), "--hypothetical", "--json"]) == 0
    played = json.loads(capsys.readouterr().out)
    assert played["plan"]["schedule"] == schedule
    assert main(["predict", str(path), "--hypothetical", "--json"]) == 0
    predicted = json.loads(capsys.readouterr().out)
    assert predicted["step_seconds"] == played["step_seconds"]
    assert any("as if it could" in note for note in predicted["assumed"])


def test_what_is_hypothetical_needs_a_framework_whose_facts_apply(tmp_path, capsys) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(HYPOTHETICAL.replace("SCHEDULE", "cross_ud").replace("framework: {name: megatron}\n", ""))
    assert main(["predict", str(path), "--hypothetical"]) == 2
    assert "framework" in capsys.readouterr().err
