"""`scripts/evaluate_scaling.py` of a bundle, on this machine's CPU."""

import csv
import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from crosszone import service

pytest.importorskip("torch")
pytest.importorskip("transformers")

JOB = {
    "model": {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512},
    "workload": {"sequence_length": 32, "global_batch_size": 4, "precision": "fp32"},
    "cluster": {"zones": [{"name": "north", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]}]},
    "plan": {"dp": 2, "microbatch_size": 1, "shard": "parameters", "dp_shard": 2},
}


@pytest.mark.slow
def test_a_bundle_measures_how_it_scales(tmp_path) -> None:
    bundle, results = tmp_path / "bundle", tmp_path / "results"
    options = {"framework": "fsdp", "backend": "local", "device": "cpu", "num_steps": 3}
    service.write_bundle(service.deploy(service.read(JOB), **options), bundle)
    words = ["--num_gpus_list", "1", "2", "3", "--repeats", "1", "--steps", "4", "--warmup", "2"]
    words += ["--modes", "strong", "--results_dir", str(results)]
    program = [sys.executable, str(bundle / "scripts/evaluate_scaling.py"), *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((results / "scaling.json").read_text())
    assert record["skipped"] == {"strong 3": "4 microbatches of a step cannot be dealt evenly to 3 ranks"}
    one, two = record["points"]
    assert (one["num_gpus"], two["num_gpus"]) == (1, 2)
    assert one["speedup"] == 1.0
    assert two["speedup"] == pytest.approx(one["step_seconds"] / two["step_seconds"])
    assert two["speedup_low"] is None
    assert all(len(run["step_seconds"]) == 2 for run in record["runs"])
    predicted = json.loads((bundle / "configs/scaling.json").read_text())["strong"]
    assert one["predicted_step_seconds"] == predicted["1"]
    manifest = json.loads((bundle / "metadata.json").read_text())
    assert two["predicted_step_seconds"] == manifest["prediction"]["step_seconds"]
    with (results / "scaling.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["step_seconds"]) for row in rows] == [one["step_seconds"], two["step_seconds"]]
    assert ElementTree.parse(results / "scaling.svg").getroot().tag.endswith("svg")
    assert not (bundle / "logs").exists()


@pytest.mark.slow
def test_the_ranks_of_a_bundle_meet_add_up_and_step_as_one(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHON", sys.executable)
    bundle = tmp_path / "bundle"
    options = {"framework": "fsdp", "backend": "local", "device": "cpu", "num_steps": 3}
    service.write_bundle(service.deploy(service.read(JOB), **options), bundle)
    report = service.check_ranks(bundle, num_ranks=3)
    assert report.is_ready, report.problem
    assert report.sums == (3, 3, 3)
    assert report.step.how == "fsdp"
    assert report.step.largest_difference <= report.step.tolerance < report.step.least_change
    assert {(pair.from_rank, pair.to_rank) for pair in report.pairs} == {(0, 1), (0, 2), (1, 2)}
    assert all(pair.rtt_seconds > 0 and pair.bytes_per_second > 1e6 for pair in report.pairs)


@pytest.mark.soak
@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_a_step_of_each_zero_stage_is_that_of_one_process(stage, monkeypatch) -> None:
    pytest.importorskip("deepspeed")
    from crosszone.launch.preflight.ranks import run_ranks

    monkeypatch.setenv("PYTHON", sys.executable)
    report = run_ranks(num_ranks=2, device="cpu", framework="deepspeed", zero_stage=stage)
    assert report.is_ready, report.problem or report.verdict
    assert report.step.how == f"deepspeed ZeRO {stage}"
