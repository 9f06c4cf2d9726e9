"""`crosszone plan`: the ranked answer, for people and programs, and its exit code."""

import dataclasses
import json

import pytest

from crosszone import service


def test_json_carries_plans_baseline_and_what_was_turned_down(run, answer) -> None:
    value = run("plan", "job.yaml", "--json").json
    assert set(value) >= {"problem", "plans", "baseline", "verdict", "search", "rejected"}
    (best,) = value["plans"]
    assert set(best) == {"plan", "prediction", "reasons"}
    assert best["plan"]["idle_gpus"][0] == {"zone": "north", "node_group": 0, "num_gpus": 4}
    assert best["plan"]["zone_axis"] == "pp"
    assert value["rejected"][0]["plan"]["zone_axis"] == "pp"
    assert value["rejected"][0]["reasons"] == ["Stage 0 needs 95 GB, the GPU has 85 GB."]
    assert value["search"]["elapsed_seconds"] == 0.25


def test_top_reaches_the_search(run, answer, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(service, "plan", lambda problem, top: seen.append(top) or answer)
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
    monkeypatch.setattr(service, "plan", lambda problem, top: pytest.fail("it searched first"))
    path = tmp_path / name
    result = run("plan", "job.yaml", "--json", "-o", str(path))
    assert result.code == 2
    (error,) = result.json["errors"]
    assert (error["where"], error["code"]) == (str(path), "unwritable")
    assert error["hint"]


@pytest.mark.parametrize("arguments", [("plan", "job.yaml"), ("plan", "job.yaml", "--json")])
def test_nothing_fits_exits_3_and_still_says_why(run, answer, monkeypatch, arguments) -> None:
    empty = dataclasses.replace(answer, plans=(), baseline=None, verdict="Nothing fits: 95 GB of 85 GB.")
    monkeypatch.setattr(service, "plan", lambda problem, top: empty)
    result = run(*arguments)
    assert result.code == 3
    assert "Nothing fits: 95 GB of 85 GB." in result.out
    assert "Stage 0 needs 95 GB" in result.out


def test_screen_ranks_explains_and_compares(run, answer) -> None:
    text = run("plan", "job.yaml").out
    (first,) = [line for line in text.splitlines() if line.split()[:1] == ["1"]]
    for shown in ("tp4 pp2", "pp", "10 s", "48 %", "60 GB", "441 d"):
        assert shown in first
    assert "PP across zones moves 2.1 GB a step." in text
    assert "One zone alone" in text
    assert "tp8: step 10 s" in text
    assert "Two zones are 1.7 times as fast as one." in text
    assert "4 in north, node group 0" in text
    assert "Searched 1234 candidates in 250 ms; 12 fit, 99 more were ruled out before." in text


def test_costs_are_shown_where_any_gpu_has_a_price(run, answer, monkeypatch) -> None:
    (best,) = answer.plans
    assert "GPUs + egress" not in run("plan", "job.yaml").out
    priced = dataclasses.replace(best, prediction=dataclasses.replace(best.prediction, gpu_dollars=5000.0))
    free = dataclasses.replace(best, prediction=dataclasses.replace(best.prediction, egress_dollars=None))
    monkeypatch.setattr(service, "plan", lambda problem, top: dataclasses.replace(answer, plans=(priced, free)))
    text = run("plan", "job.yaml").out
    assert "5000 + 12.30 USD" in text
    assert "? + ? USD" in text


def test_totals_are_left_out_without_train_tokens(run, answer, monkeypatch) -> None:
    (best,) = answer.plans
    free = dataclasses.replace(best, prediction=dataclasses.replace(best.prediction, train_seconds=None))
    monkeypatch.setattr(service, "plan", lambda problem, top: dataclasses.replace(answer, plans=(free,)))
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
    monkeypatch.setattr(service, "plan", lambda problem, top: dataclasses.replace(answer, rejected=(other,)))
    assert "• recompute none: Stage 0 needs 95 GB" in run("plan", "job.yaml").out
