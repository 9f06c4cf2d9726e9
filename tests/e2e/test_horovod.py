"""Horovod itself, built by a bundle's own program, trains a bundle: the losses are those of ddp.

The build takes minutes, and needs cmake, a compiler and PyPI.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

import pytest

from crosszone import service

pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.soak

RELATIVE = 1e-5
"""fp32 sums are added up in another order: by another ring, and, in Horovod, as gradients happen to be ready."""
JOB: dict[str, Any] = {
    "model": {
        "num_layers": 2,
        "hidden_size": 64,
        "ffn_size": 128,
        "num_heads": 4,
        "num_kv_heads": 2,
        "vocab_size": 512,
    },
    "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
    "cluster": {"zones": [{"name": "a", "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2}]}]},
    "plan": {"dp": 2, "microbatch_size": 2},
}
OPTIONS: dict[str, Any] = {"backend": "local", "device": "cpu", "num_steps": 10}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """A bundle with Horovod's trainer, not yet run."""
    folder = tmp_path_factory.mktemp("bundles") / "horovod"
    service.write_bundle(service.deploy(service.read(JOB), framework="horovod", **OPTIONS), folder)
    return folder


@pytest.fixture(scope="module")
def python(bundle, tmp_path_factory) -> str:
    """An interpreter with Horovod beside all that this one has."""
    if shutil.which("cmake") is None or shutil.which("g++") is None:
        pytest.skip("no cmake or g++: apt-get install cmake g++ make")
    folder = tmp_path_factory.mktemp("horovod") / "venv"
    venv.create(folder, with_pip=True)
    program = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "around.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    run([str(bundle / "scripts/setup_horovod.sh")], str(program), limit_seconds=5400)
    return str(program)


def run(command: list[str], python: str, limit_seconds: float = 600.0) -> str:
    around = {**os.environ, "PYTHON": python}
    done = subprocess.run(
        command, env=around, cwd="/", capture_output=True, text=True, check=False, timeout=limit_seconds
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def losses(folder: Path) -> list[float]:
    records = map(json.loads, (folder / "logs/rank-0.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if record["event"] == "step"]


def test_horovod_trains_as_ddp_does(bundle, python, tmp_path) -> None:
    run([str(bundle / "run_training.sh")], python)
    service.write_bundle(service.deploy(service.read(JOB), framework="ddp", **OPTIONS), tmp_path / "ddp")
    run([str(tmp_path / "ddp" / "run_training.sh")], sys.executable)
    assert len(losses(bundle)) == 10
    assert losses(bundle) == pytest.approx(losses(tmp_path / "ddp"), rel=RELATIVE)


def test_horovod_goes_on_from_its_checkpoint(bundle, python, tmp_path) -> None:
    folder = tmp_path / "halves"
    shutil.copytree(bundle, folder, ignore=shutil.ignore_patterns("logs", "checkpoints"))
    path = folder / "configs/train.json"
    text = path.read_text()
    for stop in (6, 10):
        path.write_text(json.dumps(json.loads(text) | {"num_steps": stop}))
        run([str(folder / "run_training.sh")], python)
    assert losses(folder) == pytest.approx(losses(bundle), rel=RELATIVE)
