"""`crosszone plan` with --pareto, --sensitivity and --why: on the screen, as JSON, and what cannot be asked."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from crosszone.cli.show_explanations import sensitivity_view
from crosszone.core.explanation import Sensitivity

JOB = """
model: gpt2-small
workload: {sequence_length: 1024, global_batch_size: 64, train_tokens: 1B}
cluster:
  zones:
    - {name: a, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 8, price: 2 USD/h}]}
    - {name: b, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 4, price: 2 USD/h}]}
  default_link: {bandwidth: 10 Gbit/s, rtt: 2 ms, egress_price: 0.01 USD/GB}
"""

ALONE = """
model: gpt2-small
workload: {sequence_length: 1024, global_batch_size: 8}
cluster: {zones: [{name: a, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 1}]}]}
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("jobs") / "job.yaml"
    path.write_text(JOB, encoding="utf-8")
    return str(path)


def told(text: str) -> str:
    return " ".join(text.split())


def test_the_screen_says_what_binds_and_who_comes_second(run: Any, job: str) -> None:
    text = told(run("plan", job).out)
    assert "What binds it" in text
    assert "Runner-up" in text
    assert "Nobody wrote" in text
    assert "Time, cost and risk" not in text
    assert "fast and different enough to rank" not in text


def test_fewer_plans_than_asked_for_is_said(run: Any, job: str) -> None:
    shown = run("plan", job, "--json").json["search"]["num_ranked"]
    assert f"Only these {shown} plans are" in told(run("plan", job, "--top", "1000").out)


def test_verbose_lists_what_is_assumed(run: Any, job: str) -> None:
    value = run("plan", job, "--json").json
    assert value["assumed"] == value["plans"][0]["prediction"]["assumed"]
    text = told(run("plan", job, "--verbose").out)
    assert "workload.precision: bf16." in text


def test_the_front_is_in_the_json_and_on_the_screen_if_asked(run: Any, job: str) -> None:
    value = run("plan", job, "--json").json
    assert value["pareto"][0]["reason"].startswith("Fastest")
    assert value["pareto"][0]["plan"]["zone_axis"]
    assert value["sensitivity"] is None
    text = told(run("plan", job, "--pareto").out)
    assert "Time, cost and risk" in text
    assert "done, P90" in text
    assert "Fastest" in text


def test_a_front_of_one_plan_or_none_is_said_to_be_one(run: Any, tmp_path: Path) -> None:
    path, framework = tmp_path / "job.yaml", "framework: {name: ddp}\n"
    path.write_text(ALONE + framework, encoding="utf-8")
    text = told(run("plan", str(path), "--pareto").out)
    assert "No plan is better than this one in any of the three" in text
    assert "Fastest" in text
    path.write_text(ALONE.replace("gpt2-small", "llama-2-70b") + framework, encoding="utf-8")
    assert "There are no plans to choose from" in told(run("plan", str(path), "--pareto").out)


def test_sensitivity_is_searched_when_asked(run: Any, job: str) -> None:
    value = run("plan", job, "--gpu", "h200-sxm-141gb", "--json").json
    changes = [one["change"] for one in value["sensitivity"]]
    assert "h200-sxm-141gb instead of every GPU" in changes
    assert "half of every round trip between zones" in changes
    assert all(one["plan"]["world_size"] for one in value["sensitivity"] if one["plan"] is not None)


def test_sensitivity_shows_what_is_saved_and_why_there_is_no_plan() -> None:
    none: dict[str, Any] = dict.fromkeys(("plan", "step_seconds", "seconds_saved", "saved_fraction", "dollars_saved"))
    faster = Sensitivity(
        change="twice the bandwidth between a and b", kind="link", plan=None, is_same_plan=True, step_seconds=3.0,
        seconds_saved=1.0, saved_fraction=0.25, dollars_saved=None,
    )  # fmt: skip
    smaller = Sensitivity(change="1 sequence", kind="batch", is_same_plan=False, note="Nothing fits.", **none)
    console = Console(width=80, file=io.StringIO())
    console.print(*sensitivity_view((faster, smaller)))
    text = told(console.file.getvalue())  # type: ignore[attr-defined]
    assert "twice the bandwidth between a and b 3 s +1 s +25 %" in text
    assert "1 sequence unknown unknown unknown" in text
    assert "batch: Nothing fits." in text
    assert "batch: the step is" not in text


def test_what_another_batch_saves_is_told_of_as_many_sequences() -> None:
    half = Sensitivity(
        change="384 sequences a step instead of 768", kind="batch", plan=None, is_same_plan=True, step_seconds=101.0,
        seconds_saved=-3.98, saved_fraction=-0.02, dollars_saved=None,
    )  # fmt: skip
    console = Console(width=100, file=io.StringIO())
    console.print(*sensitivity_view((half,)))
    text = told(console.file.getvalue())  # type: ignore[attr-defined]
    assert "what is saved is of as many sequences as the job's." in text


def test_a_gpu_that_nobody_makes_is_refused(run: Any, job: str) -> None:
    result = run("plan", job, "--gpu", "h2000", "--json")
    assert result.code == 2
    assert result.json["errors"][0]["code"] == "unknown_name"


def test_frameworks_are_compared_and_one_recommended(run: Any, job: str) -> None:
    result = run("plan", job, "--frameworks")
    text = told(result.out)
    assert result.code == 0
    for part in ("Which framework?", "Take ", "The best plan of each", "on its fullest GPU"):
        assert part in text
    value = run("plan", job, "--frameworks", "--json").json
    best = {option["framework"]: option["best"] for option in value["options"] if option["best"]}
    assert set(best) >= {"ddp", "fsdp", "torchtitan"}
    assert best[value["recommended"]]["plan"] == value["chosen"]["plan"]
    assert all(option["can_deploy"] for option in value["options"] if option["framework"] in ("ddp", "torchtitan"))
    assert value["chosen"]["plan"]["zone_axis"]


def test_where_no_framework_is_allowed_that_fits_the_exit_code_says_so(run: Any, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(JOB.replace("gpt2-small", "llama-3.1-405b"), encoding="utf-8")
    result = run("plan", str(tmp_path / "job.yaml"), "--frameworks", "-o", str(tmp_path / "found.json"))
    assert result.code == 3
    assert "Without a plan that fits" in result.out
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["recommended"] is None


def test_frameworks_is_a_question_of_its_own(run: Any, job: str) -> None:
    result = run("plan", job, "--frameworks", "--why", "tp=2", "--json")
    assert result.code == 2
    assert result.json["errors"][0]["where"] == "--why"


def test_why_not_shows_both_plans_side_by_side(run: Any, job: str) -> None:
    result = run("plan", job, "--why", "tp=4, zones=a")
    text = told(result.out)
    assert result.code == 0
    for part in ("Why not tp=4, zones=a?", "It works and takes", "Side by side", "Where the step differs"):
        assert part in text
    value = run("plan", job, "--why", "tp=4, zones=a", "--json").json
    assert value["is_possible"] is True
    assert value["plan"]["plan"]["tp"] == 4
    assert value["plan"]["plan"]["zone_axis"] == "none"
    assert value["difference"]["step_seconds"] == pytest.approx(
        value["plan"]["prediction"]["step_seconds"] - value["chosen"]["prediction"]["step_seconds"]
    )


def test_why_not_an_impossible_plan_says_every_reason_and_what_works(run: Any, job: str) -> None:
    text = told(run("plan", job, "--why", "tp=5").out)
    assert "It is not possible." in text
    assert "tp=5 does not divide 12 heads; 4 and 6 would." in text
    assert "Nearby, and possible" in text


def test_why_not_a_saved_plan(run: Any, job: str, tmp_path: Path) -> None:
    saved = tmp_path / "plans.json"
    assert run("plan", job, "-o", str(saved)).code == 0
    value = run("plan", job, "--why", f"{saved}#2", "--json").json
    assert value["plan"]["plan"] == json.loads(saved.read_text())["plans"][1]["plan"]
    first = run("plan", job, "--why", f"{saved}#1", "--json").json
    assert first["verdict"] == "It is the plan that is chosen."


@pytest.mark.parametrize("asked", ["tp", "tp=0", "tpp=1", "zones=c", "nowhere.json#1"])
def test_what_cannot_be_read_is_refused(run: Any, job: str, asked: str) -> None:
    result = run("plan", job, "--why", asked, "--json")
    assert result.code == 2
    assert result.json["errors"]


def test_the_answer_to_why_can_be_kept(run: Any, job: str, tmp_path: Path) -> None:
    path = tmp_path / "why.json"
    result = run("plan", job, "--why", "tp=2", "--json", "-o", str(path))
    assert json.loads(path.read_text()) == result.json
