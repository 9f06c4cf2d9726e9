"""Local SGD: each zone steps by itself, and every H steps all take the mean of the weights."""

from crosszone.cost.sync.exchange import (
    AGREED_BYTES,
    PSEUDOGRADIENT_BYTES,
    Exchange,
    Held,
    State,
    SyncCost,
    blocking,
    steps_text,
)

NAME = "local_sgd"
STREAM = "pseudogradients"
IS_LOCAL = True
IS_FLAT = False
HAS_OUTER_STEP = False
LAYERS_PER_FRAGMENT = None
ALLOWS = "local_sgd"
DEFAULT_DELAY_STEPS = 0
TRIED_EVERY = (8,)
"""What was trained with little loss. Source: Lin et al. 2020 (arXiv 1808.07217)."""
FORMULA = "(max(s - delay * T, 0) + codec) / every"
SOURCE = "compute share H T / (H T + s): Jaghouar et al. 2024 (INTELLECT-1, arXiv 2412.01152), table 2"
EFFECT_SOURCE = "Stich 2019 (arXiv 1805.09767); Lin et al. 2020 (Use local SGD, arXiv 1808.07217)"


def cost(exchange: Exchange) -> SyncCost:
    """The exchange blocks once in H steps."""
    return blocking(exchange)


def held(state: State) -> Held:
    """The weights last agreed on; their change takes the gradients' place where it fits."""
    return Held(state=AGREED_BYTES, passing=max(PSEUDOGRADIENT_BYTES - state.gradient_bytes, 0.0))


def effect(num_zones: int, every: int) -> str:
    """Drift between the zones."""
    return (
        f"zones drift apart for {steps_text(every)} and average {num_zones} sets of weights: SGD's rate is kept on "
        "convex problems with up to sqrt(steps) times fewer exchanges; in deep networks the loss rises with the steps "
        "between, and less if it is switched on late in training"
    )
