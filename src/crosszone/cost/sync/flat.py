"""One ring over all ranks of all zones, in every step."""

from crosszone.cost.sync.exchange import Exchange, Held, State, SyncCost, batch_effect, in_step

NAME = "flat"
STREAM = "gradients"
IS_LOCAL = False
IS_FLAT = True
HAS_OUTER_STEP = False
LAYERS_PER_FRAGMENT = None
ALLOWS = None
DEFAULT_DELAY_STEPS = 0
TRIED_EVERY = (1,)
FORMULA = "(max(bytes / slowest link + rounds * latency - hidden, last bucket) + codec) / every"
SOURCE = "Thakur et al. 2005, sec. 4.4, a ring of all ranks"
EFFECT_SOURCE = "definition"


def cost(exchange: Exchange) -> SyncCost:
    """What the backward does not hide, in every step."""
    return in_step(exchange)


def held(state: State) -> Held:
    """Nothing beyond the gradients."""
    return Held()


def effect(num_zones: int, every: int) -> str:
    """None, or that of a larger batch."""
    return batch_effect(every)
