"""What a run that is stopped leaves behind is one fact of its program, which scheduler and README go by."""

from pathlib import Path
from typing import Any

import pytest

SAVES = "Ranks that are asked to end (SIGTERM) finish their step and save."
SHARED = "/shared/run"


@pytest.fixture
def even(job: dict[str, Any]) -> dict[str, Any]:
    """Replicas of one size, which every framework has."""
    job["cluster"]["zones"] = job["cluster"]["zones"][:1]
    job["cluster"]["links"] = []
    job["cluster"]["zones"][0]["nodes"][0]["count"] = 2
    job["cluster"]["zones"][0]["nodes"][0]["addresses"].append("10.0.0.2")
    job["plan"] = {"microbatch_size": 1, "dp": 4}
    job["workload"]["precision"] = "bf16"
    return job


@pytest.mark.parametrize(
    ("framework", "plan"),
    [
        ("ddp", {}),
        ("fsdp", {"shard": "parameters"}),
        ("deepspeed", {"shard": "optimizer"}),
        ("megatron", {}),
        ("torchtitan", {}),
    ],
)
def test_slurm_signals_what_saves_and_the_readme_says_so(even, deployed, framework: str, plan: dict[str, str]) -> None:
    even["plan"] |= plan
    bundle = deployed(even, framework, "slurm", checkpoints=SHARED)
    assert "#SBATCH --signal=TERM@" in bundle.text("launch/slurm/job.sh")
    assert SAVES in bundle.text("README.md")
    assert "SIGTERM" in bundle.text("README.zh.md")


def test_what_does_not_save_is_not_said_to(even, deployed, tmp_path: Path) -> None:
    own = tmp_path / "train.py"
    own.write_text("")
    for options, instead in (
        ({"checkpoints": "none"}, "a run begins anew"),
        ({"entry": str(own), "checkpoints": SHARED}, "is up to your program"),
    ):
        bundle = deployed(even, "megatron", "slurm", **options)
        assert "--signal" not in bundle.text("launch/slurm/job.sh")
        assert SAVES not in bundle.text("README.md")
        assert instead in bundle.text("README.md")


@pytest.mark.parametrize(("framework", "backend"), [("horovod", "ssh"), ("horovod", "mpi"), ("ddp", "mpi")])
def test_launchers_that_kill_at_once_let_nothing_save(even, deployed, framework: str, backend: str) -> None:
    even["workload"]["precision"] = "fp32"
    bundle = deployed(even, framework, backend, checkpoints=SHARED)
    assert not bundle.launch.saves_when_stopped
    assert "from the last checkpoint that was due" in bundle.text("README.md")


def test_megatron_is_told_to_catch_the_signal_where_it_has_somewhere_to_save(even, deployed) -> None:
    assert "--exit-signal-handler" in deployed(even, "megatron", checkpoints=SHARED).launch.argv
    assert "--exit-signal-handler" not in deployed(even, "megatron", checkpoints="none").launch.argv
