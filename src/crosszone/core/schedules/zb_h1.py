"""ZB-H1: 1F1B whose weight gradients wait until they fill the bubbles.

Source: Qi et al. 2023 (2401.10241), sec. 2.3.
"""

import numpy as np

from crosszone.core.schedules.action import Action, backward, forward, weight_gradient
from crosszone.core.tables import Floats, Numeric

NAME = "zb_h1"
SPLITS_BACKWARD = True


def order(stage: int, num_stages: int, num_microbatches: int, num_virtual_stages: int = 1) -> tuple[Action, ...]:
    """1F1B; the weight gradient of a microbatch comes `stage` backwards after its own.

    So the first rank, which nobody waits for, is 1F1B; a later rank passes its gradients on first.
    """
    m = num_microbatches
    warm_up = min(num_stages - 1 - stage, m)
    lag = min(stage, m)
    actions = [forward(index) for index in range(warm_up)]
    for index in range(m):
        if warm_up + index < m:
            actions.append(forward(warm_up + index))
        actions.append(backward(index))
        if index >= lag:
            actions.append(weight_gradient(index - lag))
    return tuple(actions + [weight_gradient(index) for index in range(m - lag, m)])


def in_flight(stage: Numeric, num_stages: Numeric, num_microbatches: Numeric, num_virtual_stages: Numeric) -> Floats:
    """min(m, p): p - stage between forward and backward, and `stage` that wait for their weight gradient.

    The latter need the inputs of the GEMMs, 32 of 34 bytes per token and hidden unit without attention scores (Qi et
    al. 2023, sec. 2.3.3): counted as all.
    """
    count = np.minimum(np.asarray(num_microbatches, dtype=float), np.asarray(num_stages))
    return np.asarray(count + 0.0 * np.asarray(stage))
