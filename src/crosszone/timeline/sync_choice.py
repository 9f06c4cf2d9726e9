"""What a plan's way to agree means where it leaves something out, and what it does to the mathematics."""

import math

from crosszone.core.plan import Sync
from crosszone.cost.codecs import Codec, codec
from crosszone.cost.sync import sync_method

COMPRESSION, BATCH_CHANGE, ASYNC = "compression", "batch_change", "async"
"""Words of `constraints.allow` beside those that a way to agree names itself."""


def num_fragments(sync: Sync, num_layers: int) -> int:
    """Parts that are exchanged in turn."""
    per_fragment = sync_method(sync.method).LAYERS_PER_FRAGMENT
    if per_fragment is None:
        return 1
    return sync.num_fragments or math.ceil(num_layers / per_fragment)


def num_delay_steps(sync: Sync) -> int:
    """Inner steps that an exchange may take beside compute."""
    if sync.num_delay_steps is not None:
        return sync.num_delay_steps
    return int(sync_method(sync.method).DEFAULT_DELAY_STEPS)


def stream_codec(sync: Sync, stream: str) -> Codec:
    """The codec of `stream`; `none` where the plan names none."""
    found = codec(dict(sync.codecs).get(stream, "none"))
    assert found is not None, "the reader of the job file has refused an unknown codec"
    return found


def changes(sync: Sync, *, zone_axis: str, num_zones: int) -> tuple[tuple[str, str], ...]:
    """(word of `constraints.allow`, effect with its source) of each change of the mathematics.

    Only of what has an effect: gradients and weights that replicas in several zones agree on, and activations that
    pass between stages in different zones. `zone_axis` as in `Plan`.
    """
    found = []
    if "dp" in zone_axis:
        way = sync_method(sync.method)
        effect = f"{sync.method}: {way.effect(num_zones, sync.every)} [{way.EFFECT_SOURCE}]"
        if way.ALLOWS is not None:
            found.append((way.ALLOWS, effect))
        elif sync.every > 1:
            found.append((BATCH_CHANGE, effect))
        if way.IS_LOCAL and not way.DEFAULT_DELAY_STEPS and num_delay_steps(sync):
            text = f"{sync.method}: what zones agree on is applied {num_delay_steps(sync)} inner steps late"
            found.append((ASYNC, f"{text} [Kale et al. 2025 (Eager updates, arXiv 2502.12996)]"))
    for stream, name in sync.codecs:
        used = codec(name)
        if used is not None and used.changes_mathematics and _is_sent(sync, stream, zone_axis):
            found.append((COMPRESSION, f"{stream} as {name}: {used.effect} [{used.source}]"))
    return tuple(found)


def _is_sent(sync: Sync, stream: str, zone_axis: str) -> bool:
    if stream == "activations":
        return "pp" in zone_axis
    return "dp" in zone_axis and stream == sync_method(sync.method).STREAM
