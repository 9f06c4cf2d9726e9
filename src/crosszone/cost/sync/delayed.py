"""Gradients that arrive one step late: a step applies the sum of the step before, whose exchange ran beside it."""

import numpy as np

from crosszone.cost.sync.exchange import Exchange, Held, State, SyncCost, spread

NAME = "delayed"
STREAM = "gradients"
IS_LOCAL = False
IS_FLAT = False
HAS_OUTER_STEP = False
LAYERS_PER_FRAGMENT = None
ALLOWS = "async"
DEFAULT_DELAY_STEPS = 1
TRIED_EVERY = (1,)
FORMULA = "(max(s / delay, transfer) - T * every if positive + codec) / every"
SOURCE = "one-step delay: Ren et al. 2021 (ZeRO-Offload, arXiv 2101.06840); Qi et al. 2025 (DiLoCoX, arXiv 2506.21263)"
EFFECT_SOURCE = "Stich, Karimireddy 2020 (arXiv 1909.05350); Ren et al. 2021, delayed parameter update"


def cost(exchange: Exchange) -> SyncCost:
    """In steady state an exchange starts each step: the link must carry it within a step, and its latency within d.

    The step lasts max(T, transfer, s / d); with d = 1 that is the exposed max(0, s - T).
    """
    between = exchange.every * np.asarray(exchange.compute_seconds, dtype=float)
    delay = max(exchange.num_delay_steps, 1)
    waited = np.maximum(np.maximum(exchange.transfer_seconds, exchange.seconds / delay) - between, 0.0)
    return spread(exchange, waited + np.asarray(exchange.codec_seconds), beside_seconds=between)


def held(state: State) -> Held:
    """The gradients that are on their way, beside those that the step sums up."""
    return Held(state=state.reduction_bytes)


def effect(num_zones: int, every: int) -> str:
    """One step of staleness."""
    return (
        "gradients of the other zones are applied one step late: the same rate as SGD once steps far outnumber the "
        "delay; switched on after the first 40 steps, GPT-2 and BERT trained to the same loss"
    )
