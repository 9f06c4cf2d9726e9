"""Bundles that start in no time: a shell program in place of ranks, and a Python that says it has all they need."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crosszone.processes import kill_marked

PYTHON = """#!/bin/sh
echo '{"version": "3.11.7", "missing": [], "num_gpus": 0, "fault": ""}'
"""
PREDICTION = {
    "num_gpus": 2,
    "step_seconds": 0.5,
    "tokens_per_second": 800.0,
    "tokens_per_second_per_gpu": 400.0,
    "model_flop_per_second_per_gpu": 1e12,
    "intervals": [
        {"level": 0.5, "low_seconds": 0.45, "high_seconds": 0.6},
        {"level": 0.9, "low_seconds": 0.4, "high_seconds": 0.7},
    ],
    "memory": {
        "peak_bytes": 9e9,
        "stages": [
            {"gpu": "a100-sxm4-80gb", "allocated_bytes": 6e9},
            {"gpu": "h100-sxm5-80gb", "allocated_bytes": 7e9},
        ],
    },
    "reliability": None,
}


def _step(number: int, seconds: float, *, rank: int = 0, **more: Any) -> str:
    """A line as the trainer logs a step."""
    memory = {"peak_bytes": 1e9 + rank, "capacity_bytes": None}
    record = {
        "schema_version": 1,
        "event": "step",
        "step": number,
        "step_seconds": seconds,
        "tokens_per_second": 400.0 / seconds,
        "model_flop_per_second_per_gpu": 1e10 / seconds,
        "data_seconds": seconds / 10,
        "loss": 10.0 - number,
        "memory": memory,
        **more,
    }
    return json.dumps(record) + "\n"


def _start(first_step: int = 1, **more: Any) -> str:
    """A line as the trainer logs a start."""
    record = {
        "event": "start",
        "fingerprint": "abc",
        "framework": "ddp",
        "num_gpus": 2,
        "num_parameters": 1000,
        "num_microbatches": 3,
        "global_batch_tokens": 400,
        "first_step": first_step,
        "device": "cpu",
        **more,
    }
    return json.dumps(record) + "\n"


@pytest.fixture
def step() -> Callable[..., str]:
    """Writes a line as the trainer logs a step."""
    return _step


@pytest.fixture
def start() -> Callable[..., str]:
    """Writes a line as the trainer logs a start."""
    return _start


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path, monkeypatch) -> Iterator[Make]:
    """Writes a bundle whose `run_training.sh` is `program`; nothing of its run is left after the test."""
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(python))
    folder = tmp_path / "bundle"

    def write(
        program: str | None = "exit 0",
        *,
        backend: str = "local",
        device: str = "cpu",
        num_steps: int = 4,
        prediction: dict[str, Any] | None = None,
        **more: str,
    ) -> Path:
        files = {"requirements.txt": "torch==2.13.0\n"}
        files |= {name.replace("_sh", ".sh"): f"#!/usr/bin/env bash\n{text}\n" for name, text in more.items()}
        if program is not None:
            files["run_training.sh"] = f'#!/usr/bin/env bash\ncd "$(dirname "$0")"\n{program}\n'
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
            (folder / path).chmod(0o755 if text.startswith("#!") else 0o644)
        manifest = {
            "schema_version": 1,
            "kind": "crosszone-bundle",
            "fingerprint": "abc",
            "framework": "ddp",
            "request": {"backend": backend, "device": device, "num_steps": num_steps},
            "prediction": PREDICTION | (prediction or {}),
            "files": {path: {"sha256": hashlib.sha256(text.encode()).hexdigest()} for path, text in files.items()},
        }
        (folder / "metadata.json").write_text(json.dumps(manifest))
        return folder

    yield write
    for logs in folder.glob("logs/*Z-*"):  # each run has a folder of its name
        kill_marked(logs.name)
