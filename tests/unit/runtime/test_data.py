"""The order of data: every sample once an epoch, the same for any number of ranks, nothing stored."""

import numpy as np
import pytest

from crosszone.core.train import TrainData
from crosszone.errors import SpecError

torch = pytest.importorskip("torch")

from crosszone.runtime.data import microbatch, open_samples, rank_positions, sample_index  # noqa: E402 - needs torch


def opened(data: TrainData, folder, vocab_size: int = 1000, sequence_length: int = 4):
    return open_samples(data, folder=folder, sequence_length=sequence_length, vocab_size=vocab_size, seed=7)


@pytest.mark.parametrize("num_samples", [1, 2, 3, 64, 65, 1000])
def test_an_epoch_has_every_sample_once(num_samples) -> None:
    order = [sample_index(position, num_samples=num_samples, seed=3) for position in range(num_samples)]
    assert sorted(order) == list(range(num_samples))


def test_epochs_and_seeds_differ_and_are_far_from_sorted() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [sample_index(epoch * 500 + index, num_samples=500, seed=seed) for index in range(500)]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    assert abs(np.corrcoef(order(0, 0), np.arange(500))[0, 1]) < 0.2


def test_the_order_is_pinned() -> None:
    """Changing it would send every run that is resumed to other data."""
    assert [sample_index(position, num_samples=10, seed=0) for position in range(10)] == [1, 0, 7, 2, 8, 3, 4, 5, 6, 9]


@pytest.mark.parametrize("counts", [(4,), (2, 2), (3, 1), (1, 1, 1, 1)])
def test_a_step_has_the_same_samples_for_any_ranks(counts) -> None:
    positions = [
        each
        for rank in range(len(counts))
        for part in rank_positions(5, rank_sequences=[2 * count for count in counts], rank=rank, microbatch_size=2)
        for each in part
    ]
    assert positions == list(range(40, 48))
    first = list(rank_positions(5, rank_sequences=[2 * count for count in counts], rank=0, microbatch_size=2))
    assert [len(part) for part in first] == [2] * counts[0]


def test_ranks_with_microbatches_of_their_own_size_take_parts_that_follow_each_other() -> None:
    first, second = (
        list(rank_positions(1, rank_sequences=(6, 4), rank=rank, microbatch_size=size))
        for rank, size in ((0, 3), (1, 2))
    )
    assert first == [range(10, 13), range(13, 16)]
    assert second == [range(16, 18), range(18, 20)]


@pytest.mark.parametrize("token_bytes", [2, 4])
def test_a_token_file_gives_inputs_and_the_next_tokens(tmp_path, token_bytes) -> None:
    np.arange(22, dtype=f"<u{token_bytes}").tofile(tmp_path / "tokens.bin")
    samples = opened(TrainData(path="tokens.bin", token_bytes=token_bytes), tmp_path)
    assert samples.num_samples == 5
    assert samples.sample(4).tolist() == [16, 17, 18, 19, 20]
    inputs, labels = microbatch(samples, range(3), seed=0)
    assert inputs.shape == labels.shape == (3, 4)
    assert inputs.dtype == torch.int64
    assert torch.equal(labels, inputs + 1)


def test_a_token_outside_the_vocabulary_is_found_at_its_place(tmp_path) -> None:
    np.array([1, 2, 3, 4, 5, 999, 7, 8, 9], dtype="<u2").tofile(tmp_path / "tokens.bin")
    samples = opened(TrainData(path="tokens.bin"), tmp_path, vocab_size=100)
    with pytest.raises(SpecError, match="token 5 is 999, but the vocabulary has 100"):
        samples.sample(1)


def test_files_that_hold_no_sequence_are_refused(tmp_path) -> None:
    with pytest.raises(SpecError, match="cannot read the token file"):
        opened(TrainData(path="absent.bin"), tmp_path)
    (tmp_path / "odd.bin").write_bytes(b"123456789")
    with pytest.raises(SpecError, match="9 bytes hold no whole number of tokens"):
        opened(TrainData(path="odd.bin", token_bytes=2), tmp_path)
    (tmp_path / "short.bin").write_bytes(b"12345678")
    with pytest.raises(SpecError, match="fewer than 5"):
        opened(TrainData(path="short.bin", token_bytes=2), tmp_path)


def test_synthetic_tokens_fit_the_vocabulary_and_can_be_learned(tmp_path) -> None:
    samples = opened(TrainData(path=None, num_samples=50), tmp_path, vocab_size=11, sequence_length=20)
    rows = np.stack([samples.sample(index) for index in range(50)])
    assert rows.min() >= 0
    assert rows.max() < 11
    steps = np.diff(rows, axis=1) % 11
    assert (steps == steps[:, :1]).all()
    assert len(np.unique(rows[:, 0])) > 5
    assert (samples.sample(3) == rows[3]).all()
