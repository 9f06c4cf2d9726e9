"""Money and energy of a whole training. Unknown prices are NaN, and so is what depends on them."""

import numpy as np

from crosszone.core.tables import Floats, Numeric

POWER_SHARE = 0.76
"""Of its rated power that hardware draws in compute-bound training: a node of 8 H100, measured by Newkirk et al. 2025
(arXiv 2506.14551), who found estimates by rated power 27 to 37 % off. Taken for GPUs alone, of every kind."""


def rent_dollars(*, num_gpus: Numeric, dollars_per_gpu_second: Numeric, wall_seconds: Numeric) -> Floats:
    """GPUs are paid for as long as the job holds them, whether they work, wait or start again."""
    return np.asarray(np.asarray(num_gpus, dtype=float) * dollars_per_gpu_second * wall_seconds)


def storage_dollars(*, stored_bytes: Numeric, dollars_per_byte_second: Numeric, wall_seconds: Numeric) -> Floats:
    """Checkpoints that are kept, for as long as the training takes: bytes x price x time."""
    return np.asarray(np.asarray(stored_bytes, dtype=float) * dollars_per_byte_second * wall_seconds)


def training_joules(*, tdp_watts: Numeric, wall_seconds: Numeric) -> Floats:
    """`POWER_SHARE` of the rated power all the time: kernels that wait for communication spin, they do not rest."""
    return np.asarray(POWER_SHARE * np.asarray(tdp_watts, dtype=float) * wall_seconds)


def dataset_read_bytes(*, token_bytes: Numeric, num_tokens: Numeric, dataset_bytes: Numeric) -> Floats:
    """What a zone reads over a link: the tokens that it consumes, each once; what it has read it keeps.

    Never more than the whole dataset, however many epochs.
    """
    return np.asarray(np.minimum(np.asarray(token_bytes, dtype=float) * num_tokens, dataset_bytes))


def data_wait_ratio(
    *, step_bytes: Numeric, bytes_per_second: Numeric, busy_fraction: Numeric, step_seconds: Numeric
) -> Floats:
    """By how much of a step the training waits for data that is read ahead behind it.

    The link is busy with the step's own traffic for `busy_fraction` of it; data get the rest, and what does not fit
    into the step lengthens it: max(0, busy + bytes/rate/step - 1).
    """
    taken = np.asarray(step_bytes, dtype=float) / bytes_per_second / step_seconds
    return np.asarray(np.maximum(np.asarray(busy_fraction) + taken - 1.0, 0.0))
