"""`crosszone plan`: the ranked answer, for people and programs, and its exit code."""

import dataclasses
import json
import re

import pytest

from crosszone import service
from crosszone.core.answer import Comparison, Side


def test_json_carries_plans_baseline_and_what_was_turned_down(run, answer) -> None:
    value = run("plan", "job.yaml", "--json").json
    assert set(value) >= {"problem", "plans", "baseline", "verdict", "search", "rejected"}
    (best,) = value["plans"]
    assert set(best) == {"plan", "prediction", "reasons", "checks"}
    assert best["plan"]["idle_gpus"][0] == {"zone": "north", "node_group": 0, "num_gpus": 4}
    assert best["plan"]["zone_axis"] == "pp"
    assert value["rejected"][0]["plan"]["zone_axis"] == "pp"
    assert value["rejected"][0]["reasons"] == ["Stage 0 needs 95 GB, the GPU has 85 GB."]
    assert value["search"]["elapsed_seconds"] == 0.25


def test_top_reaches_the_search(run, answer, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: seen.append(top) or answer)
    run("plan", "job.yaml")
    run("plan", "job.yaml", "--top", "17")
    assert seen == [service.DEFAULT_TOP, 17]


def test_output_file_holds_the_same_json(run, answer, tmp_path) -> None:
    path = tmp_path / "plans.json"
    result = run("plan", "job.yaml", "--json", "-o", str(path))
    assert json.loads(path.read_text()) == result.json
    assert result.err == f"Wrote {path}\n"


@pytest.mark.parametrize("name", ["nowhere/plans.json", "."])
def test_output_file_that_cannot_be_written_fails_before_the_search(run, answer, monkeypatch, tmp_path, name) -> None:
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: pytest.fail("it searched first"))
    path = tmp_path / name
    result = run("plan", "job.yaml", "--json", "-o", str(path))
    assert result.code == 2
    (error,) = result.json["errors"]
    assert (error["where"], error["code"]) == (str(path), "unwritable")
    assert error["hint"]


@pytest.mark.parametrize("arguments", [("plan", "job.yaml"), ("plan", "job.yaml", "--json")])
def test_nothing_fits_exits_3_and_still_says_why(run, answer, monkeypatch, arguments) -> None:
    empty = dataclasses.replace(answer, plans=(), baseline=None, verdict="Nothing fits: 95 GB of 85 GB.")
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: empty)
    result = run(*arguments)
    assert result.code == 3
    assert "Nothing fits: 95 GB of 85 GB." in result.out
    assert "Stage 0 needs 95 GB" in result.out


def test_screen_ranks_explains_and_compares(run, answer) -> None:
    text = run("plan", "job.yaml").out
    (first,) = [line for line in text.splitlines() if line.split()[:1] == ["1"]]
    for shown in ("tp4 pp2", "10 s", "48 %", "60 GB", "441 d", "unknown", "12.30"):
        assert shown in first
    assert "PP across zones moves 2.1 GB a step." in text
    assert "pp across north, south; 8 of 16 GPUs" in text
    assert "The first plan uses 8 of 16 GPUs: 100 % of linear scaling from the 8 of north, south alone." in " ".join(
        text.split()
    )
    assert "One zone alone" in text
    assert "tp8: step 10 s" in text
    assert "Two zones are 1.7 times as fast as one." in text
    assert "4 in north, node group 0" in text
    assert "Searched 1234 candidates in 250 ms in full; 99 more were ruled out before." in text


def columns_of(text: str) -> dict[str, str]:
    """The cells of the first plan by their headings; no cell of this table holds two spaces."""
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.split()[:1] == ["#"])
    heads, cells = (re.split(r" {2,}", line.strip()) for line in lines[at : at + 2])
    return dict(zip(heads, cells, strict=True))


def test_known_egress_stands_beside_unknown_rent(run, answer, monkeypatch) -> None:
    assert columns_of(run("plan", "job.yaml").out)["GPU USD"] == "unknown"
    assert columns_of(run("plan", "job.yaml").out)["egress USD"] == "12.30"
    (best,) = answer.plans
    dear = dataclasses.replace(best.prediction, gpu_dollars=5000.0, egress_dollars=None)
    priced = dataclasses.replace(best, prediction=dear)
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: dataclasses.replace(answer, plans=(priced,)))
    columns = columns_of(run("plan", "job.yaml").out)
    assert (columns["GPU USD"], columns["egress USD"]) == ("5000", "unknown")


def test_nothing_leaves_a_zone_where_no_plan_crosses(run, answer, monkeypatch) -> None:
    (best,) = answer.plans
    alone = dataclasses.replace(best.plan.replicas[0], zones=("north", "north"))
    plan = dataclasses.replace(best.plan, replicas=(alone,))
    one = dataclasses.replace(answer, plans=(dataclasses.replace(best, plan=plan),))
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: one)
    text = run("plan", "job.yaml").out
    assert "egress" not in text
    assert "in north; 8 of 16 GPUs" in text
    assert "The first plan uses 8 of 16 GPUs.\n" in text


def test_scaling_counts_gpus_and_time(answer) -> None:
    (best,), baseline = answer.plans, answer.baseline
    slow = dataclasses.replace(baseline.prediction, step_seconds=15.0)
    half = dataclasses.replace(baseline.plan, tp=4)
    alone = dataclasses.replace(baseline, plan=half, prediction=slow)
    spanning = dataclasses.replace(answer, baseline=alone)
    assert best.plan.world_size == 2 * half.world_size
    assert (spanning.speedup_ratio, spanning.scaling_ratio) == (1.5, 0.75)
    assert service.answer_json(spanning)["scaling_ratio"] == 0.75
    nothing = dataclasses.replace(answer, plans=())
    assert (nothing.speedup_ratio, nothing.scaling_ratio) == (None, None)


@pytest.mark.parametrize("width", [30, 40, 50])
@pytest.mark.parametrize("verb", ["plan", "predict"])
def test_narrow_screen_stacks_and_cuts_no_number(run, answer, ranked, monkeypatch, width, verb) -> None:
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: answer)
    monkeypatch.setenv("COLUMNS", str(width))
    text = run(verb, "job.yaml").out
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    if verb == "plan":
        assert "  1  tp4 pp2\n" in text
        for shown in ("step 10 s", "MFU 48 %", "memory 60 GB", "training 441 d", "GPU USD unknown", "egress USD 12.30"):
            assert shown in text
    else:
        for shown in ("2.1 GB", "10 Gbit/s", "1.7 s", "17 %"):
            assert shown in text


def test_totals_are_left_out_without_train_tokens(run, answer, monkeypatch) -> None:
    (best,) = answer.plans
    free = dataclasses.replace(best, prediction=dataclasses.replace(best.prediction, train_seconds=None))
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: dataclasses.replace(answer, plans=(free,)))
    text = run("plan", "job.yaml").out
    assert "training" not in text
    assert "egress" not in text


def test_screen_is_at_most_80_columns_wide(run, answer) -> None:
    assert max(len(line) for line in run("plan", "job.yaml").out.splitlines()) <= 80


def test_colours_only_where_asked(run, answer, monkeypatch) -> None:
    assert "\x1b" not in run("plan", "job.yaml").out
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" in run("plan", "job.yaml").out


def test_turned_down_plans_show_only_what_is_other_in_them(run, answer, monkeypatch) -> None:
    (rejected,) = answer.rejected
    other = dataclasses.replace(rejected, plan=dataclasses.replace(rejected.plan, recompute="none"))
    monkeypatch.setattr(
        service, "plan", lambda problem, top, with_front: dataclasses.replace(answer, rejected=(other,))
    )
    assert "• recompute none: Stage 0 needs 95 GB" in run("plan", "job.yaml").out


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("deepspeed: the pipeline engine takes ZeRO 0 or 1.", "• deepspeed: the pipeline engine takes"),
        ("Stage 0 needs 95 GB.", "• deepspeed: Stage 0 needs 95 GB."),
    ],
)
def test_another_framework_is_named_once(run, answer, monkeypatch, reason: str, shown: str) -> None:
    best, (rejected,) = answer.plans[0].plan, answer.rejected
    plan = dataclasses.replace(best, framework="deepspeed")
    other = dataclasses.replace(rejected, plan=plan, reasons=(reason,))
    monkeypatch.setattr(
        service, "plan", lambda problem, top, with_front: dataclasses.replace(answer, rejected=(other,))
    )
    assert shown in run("plan", "job.yaml").out


def test_both_sides_of_spanning_are_shown_and_nothing_that_neither_knows(run, answer, monkeypatch) -> None:
    assert "Span zones or not" not in run("plan", "job.yaml").out
    unknown = {field.name: None for field in dataclasses.fields(Side)}
    alone = Side(
        **{
            **unknown, "zones": ("north",), "num_gpus": 8, "step_seconds": 17.0, "low_seconds": 15.0,
            "high_seconds": 20.0, "egress_dollars": 0.0, "link_failure_probability": 0.0,
        }
    )  # fmt: skip
    changes = {"zones": ("north", "south"), "num_gpus": 16, "step_seconds": 10.0, "egress_dollars": 12.3}
    spanning = dataclasses.replace(alone, **changes, link_failure_probability=None)
    both = Comparison(spanning=spanning, alone=alone, faster_probability=0.9)
    monkeypatch.setattr(service, "plan", lambda problem, top, with_front: dataclasses.replace(answer, comparison=both))
    text = run("plan", "job.yaml").out.partition("Span zones or not")[2].partition("Verdict")[0]
    rows = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    for row in (["step", "10 s", "17 s"], ["egress", "12.30 USD", "0.00 USD"], ["a link fails", "unknown", "0 %"]):
        assert row in rows
    assert not any(row[0] in ("done, P50", "GPUs cost", "energy") for row in rows)
    assert run("plan", "job.yaml", "--json").json["comparison"]["faster_probability"] == 0.9


@pytest.mark.parametrize(
    ("more", "where"), [(("--gpu", "h100-sxm5-80gb"), "--gpu"), (("--sensitivity",), "--sensitivity")]
)
def test_changed_jobs_beside_why_are_refused_not_left_out(run, monkeypatch, more, where) -> None:
    monkeypatch.setattr(service, "why", lambda problem, text: pytest.fail("it searched first"))
    result = run("plan", "job.yaml", "--why", "tp=2", "--json", *more)
    assert result.code == 2
    (error,) = result.json["errors"]
    assert error["where"] == where
    assert error["hint"]
