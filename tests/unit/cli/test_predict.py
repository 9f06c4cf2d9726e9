"""`crosszone predict`: the whole prediction, for people and programs, and its exit code."""

import dataclasses
from types import SimpleNamespace

import pytest

from crosszone import service
from crosszone.cli import show_prediction
from crosszone.core.prediction import Costs, Reliability


def test_json_is_the_prediction_with_its_plan(run, ranked) -> None:
    result = run("predict", "job.yaml", "--json")
    assert result.code == 0
    assert result.json["step_seconds"] == 10.0
    assert result.json["memory"]["fits"] is True
    assert result.json["plan"]["zone_axis"] == "pp"
    assert result.json["plan"]["world_size"] == 8
    assert result.json["gpu_dollars"] is None
    assert set(result.json) == {*(field.name for field in dataclasses.fields(ranked.prediction)), "plan", "checks"}


def test_option_may_come_before_the_verb(run, ranked) -> None:
    assert run("--json", "predict", "job.yaml").json == run("predict", "job.yaml", "--json").json


@pytest.mark.parametrize("arguments", [("predict", "job.yaml"), ("predict", "job.yaml", "--json")])
def test_what_does_not_fit_is_printed_whole_and_exits_3(run, ranked, monkeypatch, arguments) -> None:
    full = dataclasses.replace(ranked.prediction.memory, fits=False, verdict="does not fit", peak_bytes=95e9)
    over = dataclasses.replace(ranked, prediction=dataclasses.replace(ranked.prediction, memory=full))
    monkeypatch.setattr(service, "predict", lambda problem, **_: over)
    result = run(*arguments)
    assert result.code == 3
    assert "zone_send" in result.out or "zone send" in result.out
    assert "does not fit" in result.out


def test_screen_shows_the_answer_first(run, ranked) -> None:
    lines = run("predict", "job.yaml").out.splitlines()
    assert lines[0] == "llama-2-7b on 16 GPUs in 2 zones, 64 sequences of 4096 tokens a step"
    assert lines[1].strip().startswith("tp4 pp2; megatron, microbatch 1, 1f1b, recompute selective")
    text = "\n".join(lines)
    assert "10 s  (9 s to 11.5 s at 90 %)" in text
    assert "60 GB of 85 GB: fits" in text
    assert "1.12× the step of one ideal zone" in text
    assert "GPUs unknown, egress 12.30 USD" in text


def test_screen_is_at_most_80_columns_wide(run, ranked) -> None:
    assert max(len(line) for line in run("predict", "job.yaml", "--verbose").out.splitlines()) <= 80


def test_screen_says_what_the_step_is_spent_on(run, ranked) -> None:
    text = run("predict", "job.yaml").out
    assert "MFU         48 %, 150 TFLOP/s per GPU; HFU 50 %" in text
    assert "80 % compute, 10 % exposed communication, 5 % bubble, 5 % other" in text


def test_batch_is_the_product_of_its_parts(run, ranked, monkeypatch) -> None:
    assert "microbatch 1 × 64 accumulated × dp 1 = 64 sequences (262K tokens)" in run("predict", "job.yaml").out
    (replica,) = ranked.plan.replicas
    counts = ((2, 20), (1, 14), (1, 10))
    uneven = tuple(dataclasses.replace(replica, num_replicas=n, num_microbatches=m) for n, m in counts)
    other = dataclasses.replace(ranked, plan=dataclasses.replace(ranked.plan, replicas=uneven))
    monkeypatch.setattr(service, "predict", lambda problem, **_: other)
    text = " ".join(run("predict", "job.yaml").out.split())
    assert "(20 accumulated × dp 2 + 14 accumulated × dp 1 + 10 accumulated × dp 1) = 64 sequences" in text


def test_energy_is_shown_where_it_is_known(run, ranked, monkeypatch) -> None:
    assert "energy" not in run("predict", "job.yaml").out
    hot = dataclasses.replace(ranked, prediction=dataclasses.replace(ranked.prediction, energy_joules=3.6e9))
    monkeypatch.setattr(service, "predict", lambda problem, **_: hot)
    assert "energy      1 MWh" in run("predict", "job.yaml").out


def test_same_assumption_is_told_once(run, ranked, monkeypatch) -> None:
    same = tuple(f"cluster.zones[{zone}].nodes[0].price: 2 USD/h per GPU." for zone in range(4))
    several = (*same, "workload.optimizer: adamw.", "No place: here is none. And none here.")
    told = dataclasses.replace(ranked, prediction=dataclasses.replace(ranked.prediction, assumed=several))
    monkeypatch.setattr(service, "predict", lambda problem, **_: told)
    text = " ".join(run("predict", "job.yaml").out.split())
    assert text.count("2 USD/h per GPU.") == 1
    assert "cluster.zones[0].nodes[0].price (×4): 2 USD/h per GPU." in text
    assert "workload.optimizer: adamw." in text
    assert "No place: here is none. And none here." in text


def test_screen_leaves_out_what_is_zero(run, ranked) -> None:
    text = run("predict", "job.yaml").out
    assert "never" not in text
    assert "buffers" not in text
    assert "activations 40 GB" in text


def test_bars_are_as_long_as_their_share(run, ranked) -> None:
    text = run("predict", "job.yaml").out
    (compute,) = [line for line in text.splitlines() if "forward compute" in line]
    assert (compute.count("█"), compute.count("░")) == (16, 4)


def test_links_say_what_they_carry(run, ranked) -> None:
    (link,) = [line for line in run("predict", "job.yaml").out.splitlines() if "→" in line]
    assert "north → south (pp)" in link
    for shown in ("2.1 GB", "10 Gbit/s", "1.7 s", "200 ms", "17 %", "unknown"):
        assert shown in link


def test_many_warnings_are_cut_unless_verbose(run, ranked) -> None:
    short, whole = run("predict", "job.yaml").out, run("predict", "job.yaml", "--verbose").out
    assert "and 4 more (--verbose)" in short
    assert "warning 11" not in short
    assert "warning 11" in whole


def test_verbose_shows_formulas_and_sources(run, ranked) -> None:
    assert "b/β  [own]" in run("predict", "job.yaml", "--verbose").out
    assert "b/β" not in run("predict", "job.yaml").out


def test_stages_that_look_alike_share_a_row(run, ranked, monkeypatch) -> None:
    stage = ranked.prediction.memory.stages[0]
    alike = tuple(dataclasses.replace(stage, stage=number) for number in range(4))
    memory = dataclasses.replace(ranked.prediction.memory, stages=alike)
    even = dataclasses.replace(ranked, prediction=dataclasses.replace(ranked.prediction, memory=memory))
    monkeypatch.setattr(service, "predict", lambda problem, **_: even)
    assert "0–3" in run("predict", "job.yaml").out


def test_standard_input_is_read_as_utf8(run, ranked, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(service, "read_text", lambda text, base: seen.append(text))
    monkeypatch.setattr(service, "predict", lambda problem, **_: ranked)
    run("predict", "-", "--json", stdin="# 北京\n".encode())
    assert seen == ["# 北京\n"]


def test_standard_input_that_is_not_utf8_is_bad_input(run, ranked) -> None:
    result = run("predict", "-", "--json", stdin="# 北京".encode("gb18030"))
    assert result.code == 2
    assert "not UTF-8" in result.json["errors"][0]["message"]


RELIABILITY = Reliability(
    mtbf_seconds=10 * 86400.0, checkpoint_bytes=94e9, storage_bytes=188e9, checkpoint_write_seconds=60.0,
    checkpoint_seconds=60.0, checkpoint_every_seconds=10800.0, restart_seconds=660.0, expected_num_failures=44.2,
    failure_probability=1.0, link_failure_probability=None, evaluation_seconds=0.0, data_wait_seconds=0.0,
    wall_seconds=3.9e7,
)  # fmt: skip
COSTS = Costs(
    working_gpu_dollars=4000.0, idle_gpu_dollars=1000.0, overhead_dollars=100.0, step_egress_dollars=12.3,
    dataset_egress_dollars=0.0, storage_dollars=7.0, total_dollars=5119.3,
)  # fmt: skip


def test_interruptions_are_shown_where_goodput_is_known(run, ranked, monkeypatch) -> None:
    assert "goodput" not in run("predict", "job.yaml").out
    known = dataclasses.replace(ranked.prediction, goodput_fraction=0.977, reliability=RELIABILITY)
    monkeypatch.setattr(service, "predict", lambda problem, **_: dataclasses.replace(ranked, prediction=known))
    text = " ".join(run("predict", "job.yaml").out.split())
    for shown in ("goodput 97.7 %", "a failure every 10 d", "11 min to restart", "94 GB every 3 h", "for 60 s"):
        assert shown in text, shown


def test_the_whole_bill_is_shown_where_it_is_known(run, ranked, monkeypatch) -> None:
    assert "cost GPUs unknown, egress 12.30 USD" in " ".join(run("predict", "job.yaml").out.split())
    known = dataclasses.replace(ranked.prediction, gpu_dollars=5000.0, costs=COSTS)
    monkeypatch.setattr(service, "predict", lambda problem, **_: dataclasses.replace(ranked, prediction=known))
    text = " ".join(run("predict", "job.yaml").out.split())
    assert "GPUs 5000 USD (1000 USD of it idle), egress 12.30 USD, storage 7.00 USD; 5119 USD with failures" in text


@pytest.mark.parametrize(("p90", "told"), [(2e6, "nine of ten"), (3e6, "(P90)")])
def test_a_finish_that_rarely_sees_a_failure_says_so(ranked, p90, told) -> None:
    finish = dataclasses.replace(ranked.prediction.finish, p50_seconds=2e6, p90_seconds=p90)
    prediction = dataclasses.replace(ranked.prediction, finish=finish, train_seconds=1.9e6)
    problem = SimpleNamespace(workload=SimpleNamespace(train_tokens=1e12))
    assert told in show_prediction._training(problem, prediction)
