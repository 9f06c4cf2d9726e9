"""DiLoCo: zones step by themselves; every H steps an outer optimizer steps along their mean change."""

from crosszone.cost.sync.exchange import (
    OUTER_STATE_BYTES,
    PSEUDOGRADIENT_BYTES,
    Exchange,
    Held,
    State,
    SyncCost,
    blocking,
    steps_text,
)

NAME = "diloco"
STREAM = "pseudogradients"
IS_LOCAL = True
IS_FLAT = False
HAS_OUTER_STEP = True
OUTER_LEARNING_RATE, OUTER_MOMENTUM = 0.7, 0.9
"""Source: Douillard et al. 2023 (DiLoCo, arXiv 2311.08105), sec. 3.1."""
LAYERS_PER_FRAGMENT = None
ALLOWS = "local_sgd"
DEFAULT_DELAY_STEPS = 0
TRIED_EVERY = (10, 30, 100)
"""What was trained with little loss: 10 and 30 in the scaling laws' runs (Charles et al. 2025, arXiv 2503.09799), 100
in INTELLECT-1 (Jaghouar et al. 2024, arXiv 2412.01152)."""
FORMULA = "(max(s - delay * T, 0) + codec + outer step) / every"
SOURCE = "compute share H T / (H T + s): Jaghouar et al. 2024 (INTELLECT-1, arXiv 2412.01152), table 2"
EFFECT_SOURCE = "Charles et al. 2025 (Scaling Laws for DiLoCo, 2503.09799), H = 30; Douillard et al. 2025 (2501.18512)"
LOSS_ZONES_EXPONENT = 0.0116
"""Loss = 19.226 N^-0.0985 M^0.0116 for N parameters and M groups that step by themselves; fitted for N from 35M to
2.4B, trained on 20 N tokens, M from 1 to 8, H = 30. Source: Charles et al. 2025, the joint fit."""


def cost(exchange: Exchange) -> SyncCost:
    """The exchange and the outer step block once in H steps; with a delay the exchange runs beside that many."""
    return blocking(exchange)


def held(state: State) -> Held:
    """Outer momentum and the weights last agreed on; the pseudogradient takes the gradients' place where it fits."""
    return Held(state=OUTER_STATE_BYTES, passing=max(PSEUDOGRADIENT_BYTES - state.gradient_bytes, 0.0))


def loss_ratio(num_zones: int) -> float:
    """Loss with this many groups over that with one, by the fit above: 1.008 for two, 1.016 for four."""
    return float(num_zones**LOSS_ZONES_EXPONENT)


def effect(num_zones: int, every: int) -> str:
    """The fitted loss, and what was measured."""
    return (
        f"{num_zones} zones step by themselves for {steps_text(every)}: at 30 steps the fitted loss is "
        f"{100.0 * (loss_ratio(num_zones) - 1.0):.1f} % above that of one group of the same batch; a 1B model with two "
        "groups ended at 2.49 as data parallel did"
    )
