"""A bundle as it lies in its folder: read by its manifest, held against its hashes."""

import json
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.core.train import train_config
from crosszone.errors import SpecError
from crosszone.launch.bundle_folder import edited_files, open_bundle

JOB: dict[str, Any] = {
    "model": {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512},
    "workload": {"sequence_length": 32, "global_batch_size": 4, "precision": "fp32", "train_tokens": "1280"},
    "cluster": {"zones": [{"name": "north", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]}]},
    "plan": {"dp": 2, "microbatch_size": 1},
}


def test_what_deploy_wrote_is_what_is_read(tmp_path) -> None:
    folder = tmp_path / "bundle"
    bundle = service.deploy(service.read(JOB), framework="ddp", backend="local", device="cpu")
    service.write_bundle(bundle, folder)
    found = open_bundle(folder)
    prediction = json.loads(bundle.text("metadata.json"))["prediction"]
    assert (found.backend, found.framework, found.device) == ("local", "ddp", "cpu")
    assert (found.world_size, found.num_steps, found.has_own_program) == (2, 10, False)
    assert found.predicted.step_seconds == prediction["step_seconds"]
    low, high = found.predicted.low_seconds, found.predicted.high_seconds
    assert low is not None
    assert high is not None
    assert low < found.predicted.step_seconds < high
    assert found.predicted.gpus == ("a100-sxm4-80gb",)
    assert found.has("run_training.sh")
    assert not found.has("stop_training.sh")
    assert not list(edited_files(found))


def test_ranks_get_the_time_that_the_bundle_itself_gives_them(tmp_path) -> None:
    job = {**JOB, "workload": {**JOB["workload"], "sequence_length": 65536, "global_batch_size": 4096}}
    bundle = service.deploy(service.read(job), framework="ddp", backend="local", device="cpu", num_steps=5)
    service.write_bundle(bundle, tmp_path / "bundle")
    limits = train_config(json.loads(bundle.text("configs/train.json"))).timeouts
    assert limits.grace_seconds > 60
    assert open_bundle(tmp_path / "bundle").grace_seconds == limits.grace_seconds
    assert f"-{limits.grace_seconds}}}" in bundle.text("environment.sh")


def test_what_is_predicted_is_of_the_fullest_rank_and_the_interval_of_nine_in_ten(make) -> None:
    predicted = open_bundle(make()).predicted
    assert predicted.peak_bytes == 7e9  # tensors, as torch counts them in a run
    assert (predicted.low_seconds, predicted.high_seconds, predicted.level) == (0.4, 0.7, 0.9)
    assert predicted.gpus == ("a100-sxm4-80gb", "h100-sxm5-80gb")


def test_every_edited_and_missing_file_is_named(make) -> None:
    folder = make()
    (folder / "run_training.sh").write_text("rm -rf ~\n")
    (folder / "requirements.txt").unlink()
    (folder / "logs").mkdir()
    (folder / "logs" / "rank-0.jsonl").write_text("a run leaves things behind\n")
    findings = list(edited_files(open_bundle(folder)))
    assert [(Path(finding.where).name, finding.message.partition(" after")[0]) for finding in findings] == [
        ("requirements.txt", "it is missing or cannot be read"),
        ("run_training.sh", "it was edited"),
    ]


@pytest.mark.parametrize(
    ("checkpoint_seconds", "high_seconds", "grace_seconds"), [(None, 0.7, 60.0), (100.0, 20.5, 162.0)]
)
def test_ranks_get_time_for_three_slow_steps_and_a_checkpoint(
    make, checkpoint_seconds, high_seconds, grace_seconds
) -> None:
    prediction = {
        "intervals": [{"level": 0.9, "low_seconds": 0.1, "high_seconds": high_seconds}],
        "reliability": {"checkpoint_seconds": checkpoint_seconds},
    }
    assert open_bundle(make(prediction=prediction)).grace_seconds == grace_seconds


def test_a_program_of_ones_own_decides_how_many_steps_it_makes(make) -> None:
    folder = make()
    manifest = json.loads((folder / "metadata.json").read_text())
    manifest["files"] = {"entry.py": {"sha256": "0"}}
    manifest["request"]["num_steps"] = None
    (folder / "metadata.json").write_text(json.dumps(manifest))
    found = open_bundle(folder)
    assert (found.has_own_program, found.num_steps) == (True, None)


@pytest.mark.parametrize("text", [None, "not JSON", "[]", '{"kind": "else"}'])
def test_a_folder_without_a_bundle_is_refused_by_name(tmp_path, text) -> None:
    if text is not None:
        (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(SpecError, match="there is no bundle") as caught:
        open_bundle(tmp_path)
    assert caught.value.findings[0].where == str(tmp_path)


def test_a_manifest_that_lacks_something_says_what(make) -> None:
    folder = make()
    manifest = json.loads((folder / "metadata.json").read_text())
    del manifest["prediction"]["num_gpus"]
    (folder / "metadata.json").write_text(json.dumps(manifest))
    with pytest.raises(SpecError, match="KeyError 'num_gpus'"):
        open_bundle(folder)


def test_a_folder_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(SpecError, match="cannot read the bundle"):
        open_bundle(tmp_path / "nowhere")
