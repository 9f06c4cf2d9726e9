"""What our trainer asks of Horovod; a stand-in for one rank. The real one: tests/e2e/test_horovod.py."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from crosszone.core.codec import to_json
from crosszone.core.train import TrainCheckpoint
from tiny_training import tiny_training

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from crosszone.runtime.horovod_ranks import take_ranks  # noqa: E402 - needs torch
from crosszone.runtime.train import main  # noqa: E402 - needs torch

CONFIG = tiny_training(framework="horovod", num_steps=2, microbatch_size=1, rank_microbatches=(3,))


class Horovod:
    """One rank of three, or one alone; notes what is called."""

    def __init__(self, size: int = 1) -> None:
        self.calls: list[str] = []
        self.passes: list[int] = []
        self.Compression = SimpleNamespace(fp16="fp16", none="none")
        self._size = size

    def init(self) -> None:
        self.calls.append("init")

    def rank(self) -> int:
        return self._size - 1

    def size(self) -> int:
        return self._size

    def local_rank(self) -> int:
        return 0

    def broadcast_parameters(self, state: dict[str, Any], root_rank: int) -> None:
        assert root_rank == 0
        self.calls.append(f"broadcast {len(state) > 0}")

    def DistributedOptimizer(
        self, optimizer: Any, *, named_parameters: Any, compression: str, backward_passes_per_step: int
    ) -> Any:
        assert {id(tensor) for _, tensor in named_parameters} == {
            id(tensor) for group in optimizer.param_groups for tensor in group["params"]
        }
        self.passes.append(backward_passes_per_step)
        step, zero_grad = optimizer.step, optimizer.zero_grad

        @contextlib.contextmanager
        def skip_synchronize() -> Iterator[None]:
            self.calls.append("skip")
            yield

        def counted(*arguments: Any, **keywords: Any) -> Any:
            self.calls.append("step")
            return step(*arguments, **keywords)

        optimizer.synchronize = lambda: self.calls.append("synchronize")
        optimizer.skip_synchronize = skip_synchronize
        optimizer.step = counted
        optimizer.zero_grad = lambda: zero_grad()  # Horovod's takes no arguments
        return optimizer


@pytest.fixture
def horovod(monkeypatch) -> Horovod:
    stand_in = Horovod()
    monkeypatch.setitem(sys.modules, "horovod", SimpleNamespace(torch=stand_in))
    monkeypatch.setitem(sys.modules, "horovod.torch", stand_in)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "GLOO_SOCKET_IFNAME", "HOROVOD_GLOO_IFACE"):
        monkeypatch.setenv(name, "")  # so that it is as before after the test
        monkeypatch.delenv(name)
    return stand_in


def test_gradients_are_waited_for_before_they_are_clipped_and_applied(horovod, tmp_path) -> None:
    path = tmp_path / "train.json"
    path.write_text(json.dumps(to_json(CONFIG)))
    assert main([str(path)]) == 0
    assert horovod.passes == [3]
    assert horovod.calls == ["init", "broadcast True", *(2 * ["synchronize", "skip", "step"])]


def test_a_run_goes_on_from_its_checkpoint(horovod, tmp_path) -> None:
    losses = []
    for name, stops in (("whole", [3]), ("halves", [1, 3])):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "train.json"
        for stop in stops:
            config = replace(CONFIG, num_steps=stop, checkpoint=TrainCheckpoint(folder="checkpoints", every_steps=1))
            path.write_text(json.dumps(to_json(config)))
            assert main([str(path)]) == 0
        lines = (tmp_path / name / "logs/rank-0.jsonl").read_text().splitlines()
        losses.append([record["loss"] for record in map(json.loads, lines) if record["event"] == "step"])
    assert losses[0] == losses[1]


def test_torch_gets_the_ranks_and_the_device_of_horovod(horovod, monkeypatch) -> None:
    horovod._size = 3
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("HOROVOD_GLOO_IFACE", "eth1")
    take_ranks()
    assert [os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")] == ["2", "3", "0"]
    assert os.environ["GLOO_SOCKET_IFNAME"] == "eth1"


def test_ranks_of_another_launcher_stay(horovod, monkeypatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("RANK", "7")
    take_ranks()
    assert os.environ["RANK"] == "7"


def test_horovod_that_is_not_there_is_said(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "horovod", None)
    path = tmp_path / "train.json"
    path.write_text(json.dumps(to_json(CONFIG)))
    assert main([str(path)]) == 4
    assert "framework horovod is not installed here" in capsys.readouterr().err
