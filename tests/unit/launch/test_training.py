"""What no restart can mend is told before anything starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crosszone import service
from crosszone.checkpoints import read_config, run_state
from crosszone.core.checkpoint import Manifest
from crosszone.core.codec import to_json
from crosszone.errors import SpecError
from crosszone.launch.bundle_folder import BundleFolder, open_bundle
from crosszone.launch.start import start
from crosszone.launch.training import check_training

JOB: dict[str, Any] = {
    "model": {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512},
    "workload": {"sequence_length": 32, "global_batch_size": 4, "precision": "fp32"},
    "cluster": {"zones": [{"name": "north", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]}]},
    "plan": {"dp": 2, "microbatch_size": 1},
}


@pytest.fixture
def deployed(tmp_path) -> Callable[..., BundleFolder]:
    """A bundle of our trainer that keeps its checkpoints beside itself."""

    def deploy(*, num_steps: int = 6, **options: Any) -> BundleFolder:
        folder = tmp_path / f"bundle-{num_steps}"
        options = {"checkpoints": str(tmp_path / "checkpoints"), **options}
        bundle = service.deploy(
            service.read(JOB), framework="ddp", backend="local", device="cpu", num_steps=num_steps, **options
        )
        service.write_bundle(bundle, folder)
        return open_bundle(folder)

    return deploy


def save(bundle: BundleFolder, folder: Path) -> Path:
    """A checkpoint of the bundle's run, without weights."""
    path = bundle.folder / "configs/train.json"
    manifest = Manifest(
        format="dcp",
        step=6,
        consumed_samples=24,
        num_ranks=2,
        state_fields=run_state(read_config(path), path.parent),
        files=(),
    )
    checkpoint = folder / "step-00000006"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").write_text(json.dumps(to_json(manifest)))
    return checkpoint


def edit(bundle: BundleFolder, **changes: Any) -> None:
    path = bundle.folder / "configs/train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_longer_training_goes_on_from_a_shorter(deployed, tmp_path) -> None:
    save(deployed(num_steps=6), tmp_path / "checkpoints")
    check_training(deployed(num_steps=10))


def test_a_checkpoint_of_another_run_is_told_before_ranks_start(deployed, tmp_path) -> None:
    checkpoint = save(deployed(), tmp_path / "checkpoints")
    bundle = deployed(num_steps=10)
    edit(bundle, seed=5)
    with pytest.raises(SpecError) as caught:
        start(bundle.folder, is_forced=True)
    assert str(caught.value).startswith(f"{checkpoint}: the checkpoint is of another run: seed was 0, and is 5.")
    assert not bundle.logs.exists()


def test_a_configuration_that_cannot_be_trained_is_told_with_all_that_is_wrong(deployed) -> None:
    bundle = deployed()
    edit(bundle, num_steps=0, framework="other")
    with pytest.raises(SpecError) as caught:
        check_training(bundle)
    assert {finding.where for finding in caught.value.findings} == {"framework", "num_steps"}


def test_tokens_that_are_not_there(deployed) -> None:
    with pytest.raises(SpecError, match=r"/absent\.bin: cannot read the token file"):
        check_training(deployed(data="/absent.bin"))


def test_programs_of_others_are_their_own_business(make) -> None:
    check_training(open_bundle(make()))
