"""What programs rely on, through the real program: names in the JSON, exit codes, standard input, a quick start."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SINGLE_ZONE = "examples/single-zone-llama-3-8b-8xh100.yaml"

PREDICTION = """
    schema_version fingerprint framework num_parameters num_active_parameters step_seconds tokens_per_second
    tokens_per_second_per_gpu model_flop_per_second_per_gpu mfu hfu compute_fraction exposed_communication_fraction
    bubble_fraction other_fraction cross_zone_penalty_ratio goodput_fraction terms memory host_memory_bytes links
    intervals train_seconds finish gpu_dollars egress_dollars energy_joules assumed warnings
""".split()
TERM = "name exposed_seconds overlapped_seconds formula source".split()
MEMORY = "peak_bytes capacity_bytes fits verdict stages".split()
STAGE_MEMORY = """
    stage zone gpu num_layers weight_bytes gradient_bytes optimizer_bytes activation_bytes buffer_bytes overhead_bytes
    total_bytes
""".split()
LINK = """
    from_zone to_zone step_bytes raw_seconds exposed_seconds utilization_fraction dollars_per_hour groups
""".split()
ANSWER = "problem plans baseline verdict search rejected".split()
SEARCH = "num_candidates num_pruned num_feasible elapsed_seconds".split()

# 2 + 4 + 8 GPUs, and a plan for 64.
SIXTY_FOUR_RANKS = (ROOT / "examples/uneven-2-4-8.yaml").read_text(encoding="utf-8") + "plan: {tp: 8, pp: 4, dp: 2}\n"


def crosszone(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "crosszone.cli", *arguments],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="module")
def prediction() -> dict:
    done = crosszone("predict", SINGLE_ZONE, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def answer() -> dict:
    done = crosszone("plan", "-", "--json", "--top", "2", stdin=crosszone("init").stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_prediction_has_its_names(prediction) -> None:
    assert set(prediction) >= {*PREDICTION, "plan"}
    assert all(set(term) >= set(TERM) for term in prediction["terms"])
    assert set(prediction["memory"]) >= set(MEMORY)
    assert all(set(stage) >= set(STAGE_MEMORY) for stage in prediction["memory"]["stages"])
    assert set(prediction["finish"]) == {"p50_seconds", "p90_seconds"}


def test_prediction_adds_up(prediction) -> None:
    exposed = sum(term["exposed_seconds"] for term in prediction["terms"])
    assert exposed == pytest.approx(prediction["step_seconds"], rel=1e-9)
    parts = ("compute_fraction", "exposed_communication_fraction", "bubble_fraction", "other_fraction")
    assert sum(prediction[part] for part in parts) == pytest.approx(1)
    assert prediction["tokens_per_second"] * prediction["step_seconds"] == pytest.approx(128 * 8192)
    assert 0 < prediction["mfu"] <= prediction["hfu"] <= 1
    assert prediction["memory"]["fits"] is (
        prediction["memory"]["peak_bytes"] <= prediction["memory"]["capacity_bytes"]
    )


def test_answer_has_its_names_and_is_in_order(answer) -> None:
    assert set(answer) >= set(ANSWER)
    assert set(answer["search"]) >= set(SEARCH)
    assert len(answer["plans"]) == 2
    for ranked in answer["plans"]:
        assert set(ranked) >= {"plan", "prediction", "reasons"}
        assert set(ranked["prediction"]) >= set(PREDICTION)
        assert ranked["plan"]["zone_axis"] in ("none", "pp", "dp", "dp+pp")
        assert sum(replica["weight"] for replica in ranked["plan"]["replicas"]) == pytest.approx(1)
        assert (
            sum(stage["num_layers"] for stage in ranked["plan"]["stages"]) == answer["problem"]["model"]["num_layers"]
        )
        assert all(set(link) >= set(LINK) for link in ranked["prediction"]["links"])
    steps = [ranked["prediction"]["step_seconds"] for ranked in answer["plans"]]
    assert steps == sorted(steps)


def test_best_plan_is_never_worse_than_staying_in_one_zone(answer) -> None:
    best, baseline = answer["plans"][0]["prediction"], answer["baseline"]["prediction"]
    assert best["step_seconds"] <= baseline["step_seconds"] * (1 + 1e-9)


def test_answer_is_not_read_as_a_job_file(answer) -> None:
    done = crosszone("predict", "-", "--json", stdin=json.dumps(answer))
    assert done.returncode == 2
    (error,) = json.loads(done.stdout)["errors"]
    assert error["code"] == "not_a_job"


def test_every_gpu_works_or_is_named_idle(answer) -> None:
    groups = [group for zone in answer["problem"]["cluster"]["zones"] for group in zone["node_groups"]]
    num_gpus = sum(group["num_nodes"] * group["gpus_per_node"] for group in groups)
    for ranked in answer["plans"]:
        idle = sum(entry["num_gpus"] for entry in ranked["plan"]["idle_gpus"])
        assert ranked["plan"]["world_size"] + idle == num_gpus


def test_same_job_gives_the_same_prediction_to_the_last_digit() -> None:
    first, second = (crosszone("predict", SINGLE_ZONE, "--json").stdout for _ in range(2))
    assert first == second


def test_more_ranks_than_gpus_is_bad_input_with_the_numbers() -> None:
    for verb in ("predict", "plan"):
        done = crosszone(verb, "-", "--json", stdin=SIXTY_FOUR_RANKS)
        assert done.returncode == 2, done.stdout + done.stderr
        text = " ".join(f"{error['message']} {error['hint']}" for error in json.loads(done.stdout)["errors"])
        assert "64" in text
        assert "14" in text


@pytest.mark.parametrize("name", ["use-case-llama-2-7b-ddp", "use-case-gpt3-175b-as-written"])
def test_what_does_not_fit_is_predicted_whole_and_exits_3(name) -> None:
    done = crosszone("predict", f"examples/{name}.yaml", "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    value = json.loads(done.stdout)
    assert value["memory"]["fits"] is False
    assert value["memory"]["peak_bytes"] > value["memory"]["capacity_bytes"]
    assert value["step_seconds"] > 0


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    job = crosszone("init").stdout.replace("10 Gbit/s", "10").replace("adamw", "adamv").replace("8192", "0")
    done = crosszone("plan", "-", "--json", stdin=job)
    assert done.returncode == 2
    errors = json.loads(done.stdout)["errors"]
    assert len(errors) == 3
    assert all(set(error) == {"code", "message", "where", "hint"} for error in errors)
    assert {error["where"] for error in errors} == {
        "cluster.links[0].bandwidth",
        "workload.optimizer",
        "workload.sequence_length",
    }


def test_help_takes_less_than_three_tenths_of_a_second() -> None:
    def seconds() -> float:
        started = time.perf_counter()
        assert crosszone("--help").returncode == 0
        return time.perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.3
