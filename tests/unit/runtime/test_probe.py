"""The step that ranks compare with one process. One rank in this process; several are in tests/e2e."""

import pytest

torch = pytest.importorskip("torch")
from torch import distributed  # noqa: E402

from crosszone.runtime import probe  # noqa: E402

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def group():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("framework", ["ddp", "fsdp"])
def test_a_right_step_is_equal_and_trains(framework) -> None:
    report = probe.step_report(CPU, framework=framework)
    assert report["is_equal"]
    assert report["how"] == framework
    assert report["largest_difference"] < 1e-6
    assert report["least_change"] > 0.005


def test_another_part_of_the_batch_is_another_step(monkeypatch) -> None:
    monkeypatch.setattr(probe, "_own_part", lambda whole: tuple(each[:-1] for each in whole))
    report = probe.step_report(CPU, framework="ddp")
    assert not report["is_equal"]
    assert report["largest_difference"] > 10 * report["tolerance"]


def test_a_step_that_changes_nothing_is_not_equal(monkeypatch) -> None:
    start = {name: each.detach().clone() for name, each in probe.model(CPU).named_parameters()}
    monkeypatch.setattr(probe, "_native_step", lambda device, framework: start)
    monkeypatch.setattr(probe, "reference_step", lambda device: start)
    report = probe.step_report(CPU, framework="fsdp")
    assert not report["is_equal"]
    assert report["least_change"] == 0.0


def test_the_probe_of_one_rank() -> None:
    found = probe.probe(CPU, framework="fsdp")
    assert found["sums"] == [0]
    assert found["expected_sum"] == 0
    assert found["pairs"] == []
    assert found["ranks"][0]["torch_version"] == torch.__version__
