"""Gradients are summed alike on all ranks, whatever each used. Ranks are threads here, and meet in every sum."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

torch = pytest.importorskip("torch")

from crosszone.runtime import communication  # noqa: E402 - needs torch
from crosszone.runtime.communication import sum_gradients  # noqa: E402 - needs torch

NUM_RANKS = 2
LIMIT_SECONDS = 20.0


class Meeting:
    """In the place of torch's process group: all ranks bring a tensor of one shape, or the test fails."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(NUM_RANKS)
        self._brought: dict[int, torch.Tensor] = {}
        self.shapes: list[tuple[torch.dtype, int]] = []

    def all_reduce(self, tensor: torch.Tensor) -> None:
        me = threading.get_ident()
        self._brought[me] = tensor.clone()
        if self._barrier.wait(LIMIT_SECONDS) == 0:
            self.shapes.append((tensor.dtype, tensor.numel()))
        shapes = {(each.dtype, each.shape) for each in self._brought.values()}
        assert len(shapes) == 1, f"ranks sum different things: {shapes}"
        tensor.copy_(torch.stack(list(self._brought.values())).sum(0))
        self._barrier.wait(LIMIT_SECONDS)


@pytest.fixture
def meeting(monkeypatch) -> Meeting:
    found = Meeting()
    monkeypatch.setattr(communication, "distributed", found)
    return found


def model() -> torch.nn.ModuleDict:
    torch.manual_seed(0)
    parts = {name: torch.nn.Linear(3, 2, bias=False) for name in ("both", "first", "second", "nobody", "frozen")}
    parts["frozen"].requires_grad_(False)
    return torch.nn.ModuleDict(parts)


def summed(losses: Callable[[torch.nn.ModuleDict, int], torch.Tensor], **options: float) -> list[torch.nn.ModuleDict]:
    models = [model() for _ in range(NUM_RANKS)]
    for rank, each in enumerate(models):
        losses(each, rank).backward()
    with ThreadPoolExecutor(NUM_RANKS) as pool:
        list(pool.map(lambda each: sum_gradients(each, **options), models))
    return models


def uneven(parts: torch.nn.ModuleDict, rank: int) -> torch.Tensor:
    own = parts["first" if rank == 0 else "second"].weight
    return (rank + 1.0) * (parts["both"].weight.sum() + own.sum())


def test_ranks_that_used_different_parameters_meet_and_agree(meeting) -> None:
    for each in summed(uneven):
        assert torch.equal(each["both"].weight.grad, torch.full((2, 3), 3.0))
        assert torch.equal(each["first"].weight.grad, torch.full((2, 3), 1.0))
        assert torch.equal(each["second"].weight.grad, torch.full((2, 3), 2.0))


def test_what_no_rank_used_stays_without_a_gradient(meeting) -> None:
    for each in summed(uneven):
        assert each["nobody"].weight.grad is None, "an optimizer would decay it"
        assert each["frozen"].weight.grad is None


def test_the_sum_is_scaled(meeting) -> None:
    for each in summed(uneven, scale=0.5):
        assert torch.equal(each["both"].weight.grad, torch.full((2, 3), 1.5))


def test_small_gradients_travel_together(meeting, monkeypatch) -> None:
    summed(uneven)
    assert [num for _, num in meeting.shapes] == [4, 18], "which are used, then all of them"
    meeting.shapes.clear()
    monkeypatch.setattr(communication, "BUCKET_BYTES", 50)  # one has 24 bytes
    summed(uneven)
    assert [num for _, num in meeting.shapes] == [4, 12, 6]


def test_types_are_not_mixed_and_layouts_are_kept(meeting) -> None:
    def mixed(parts: torch.nn.ModuleDict, rank: int) -> torch.Tensor:
        parts["first"].bfloat16()
        parts["second"].weight = torch.nn.Parameter(torch.ones(3, 2).t())
        return parts["both"].weight.sum() + parts["first"].weight.sum().float() + parts["second"].weight.sum()

    for each in summed(mixed):
        assert all(torch.equal(each[name].weight.grad.float(), torch.full((2, 3), 2.0)) for name in ("both", "second"))
        assert each["first"].weight.grad.dtype == torch.bfloat16
    assert len({dtype for dtype, _ in meeting.shapes}) == 2


def test_a_model_without_parameters_has_nothing_to_sum(meeting) -> None:
    sum_gradients(torch.nn.Identity())
    assert meeting.shapes == []
