"""Token files and synthetic tokens, in an order that neither ranks nor restarts change."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from crosszone.core.train import TrainData
from crosszone.errors import SpecError

MASK = (1 << 64) - 1
NUM_ROUNDS = 6
"""Of the Feistel network; four make it a pseudo-random permutation (Luby and Rackoff 1988), two are for a weak hash."""
STRIDES = 7
"""Synthetic sequences count up by one of so many strides, so that a model can learn them."""


class Samples(Protocol):
    """Sequences of tokens, by index."""

    num_samples: int

    def sample(self, index: int) -> np.ndarray:
        """`sequence_length` + 1 tokens (int64): the inputs, and each one's next token."""
        ...


class SyntheticTokens:
    """Sequences that count up from a random start by a random stride: any vocabulary, any number of them."""

    def __init__(self, *, num_samples: int, sequence_length: int, vocab_size: int, seed: int) -> None:
        self.num_samples, self.seed, self.vocab_size = num_samples, seed, vocab_size
        self._steps = np.arange(sequence_length + 1, dtype=np.int64)

    def sample(self, index: int) -> np.ndarray:
        random = _mixed(self.seed, index)
        start, stride = random % self.vocab_size, 1 + (random >> 40) % STRIDES
        return np.asarray((start + stride * self._steps) % self.vocab_size)


class TokenFile:
    """A file of tokens that is mapped, not read. Sequence i covers the tokens from i * `sequence_length` on."""

    def __init__(self, path: Path, *, token_bytes: int, sequence_length: int, vocab_size: int) -> None:
        try:
            size_bytes = os.path.getsize(path)
        except OSError as error:
            raise SpecError.unreadable("token file", str(path), error) from None
        num_tokens = size_bytes // token_bytes
        self.num_samples = max(num_tokens - 1, 0) // sequence_length
        if size_bytes % token_bytes or not self.num_samples:
            raise SpecError.of(
                f"{size_bytes} bytes hold no whole number of tokens of {token_bytes} bytes, or fewer than "
                f"{sequence_length + 1} of them.",
                where=str(path),
                hint="Check data.token_bytes and sequence_length.",
            )
        self.path, self.sequence_length, self.vocab_size = path, sequence_length, vocab_size
        self._tokens = np.memmap(path, dtype=f"<u{token_bytes}", mode="r")

    def sample(self, index: int) -> np.ndarray:
        first = index * self.sequence_length
        tokens = self._tokens[first : first + self.sequence_length + 1].astype(np.int64)
        if tokens.max() >= self.vocab_size:
            at = first + int(tokens.argmax())
            raise SpecError.of(
                f"token {at} is {int(tokens.max())}, but the vocabulary has {self.vocab_size}.",
                where=str(self.path),
                hint="Check data.token_bytes, and that the file was made with this model's tokenizer.",
            )
        return tokens


def open_samples(data: TrainData, *, folder: Path, sequence_length: int, vocab_size: int, seed: int) -> Samples:
    """What `data` names; a relative path is one inside `folder`.

    Errors: SpecError for a file that cannot be read or holds no sequence.
    """
    if data.path is None:
        assert data.num_samples is not None, "train_problems holds that one of path and num_samples is given"
        return SyntheticTokens(
            num_samples=data.num_samples, sequence_length=sequence_length, vocab_size=vocab_size, seed=seed
        )
    return TokenFile(
        folder / data.path, token_bytes=data.token_bytes, sequence_length=sequence_length, vocab_size=vocab_size
    )


def sample_index(position: int, *, num_samples: int, seed: int) -> int:
    """Index of the sample that is consumed as number `position` of the whole run, all ranks together.

    Each epoch is another permutation of all samples. It is computed, not stored: a Feistel network over the next
    power of four, walked until it falls inside (Black and Rogaway 2002).
    """
    epoch, index = divmod(position, num_samples)
    half_bits = max(1, (num_samples - 1).bit_length() + 1 >> 1)
    while True:
        index = _feistel(index, half_bits, _mixed(seed, epoch))
        if index < num_samples:
            return index


def rank_positions(step: int, *, rank_sequences: Sequence[int], rank: int, microbatch_size: int) -> Iterator[range]:
    """Positions of each microbatch of `rank` in `step` (0 first).

    A step consumes the next positions of the run; ranks take consecutive parts of them, as long as their share is. So
    the samples of a step are the same however many ranks there are.
    """
    first = step * sum(rank_sequences) + sum(rank_sequences[:rank])
    for start in range(first, first + rank_sequences[rank], microbatch_size):
        yield range(start, start + microbatch_size)


def microbatch(samples: Samples, positions: range, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(inputs, labels), each of shape (microbatch, sequence), int64."""
    rows = [samples.sample(sample_index(each, num_samples=samples.num_samples, seed=seed)) for each in positions]
    tokens = torch.from_numpy(np.stack(rows))
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def _feistel(index: int, half_bits: int, key: int) -> int:
    mask = (1 << half_bits) - 1
    left, right = index >> half_bits, index & mask
    for turn in range(NUM_ROUNDS):
        left, right = right, left ^ (_mixed(key + turn, right) & mask)
    return left << half_bits | right


def _mixed(key: int, value: int) -> int:
    """A hash of 64 bits: the finaliser of SplitMix64 (Steele, Lea, Flood 2014), once for each argument."""
    state = 0
    for word in (key, value):
        state = (state + word + 0x9E3779B97F4A7C15) & MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & MASK
        state ^= state >> 31
    return state
