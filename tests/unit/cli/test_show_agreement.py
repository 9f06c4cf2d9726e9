"""How the screen says in which way zones agree."""

import dataclasses

from crosszone.cli.show_prediction import agreement_line, sync_words
from crosszone.core.plan import Sync
from crosszone.core.prediction import Agreement

AGREEMENT = Agreement(
    method="streaming_diloco",
    every=100,
    num_delay_steps=1,
    num_fragments=8,
    codecs=(("pseudogradients", "int4"),),
    exchange_bytes=4e9,
    exchange_seconds=3.5,
    mean_bytes_per_second=1e6,
    peak_bytes_per_second=1e8,
    held_bytes=0.0,
    changes_mathematics=True,
    effect="some",
    source="somewhere",
)


def test_ways_in_words():
    assert sync_words(Sync()) == "hierarchical"
    assert sync_words(Sync(method="diloco", every=30)) == "diloco every 30 steps"
    assert sync_words(Sync(method="delayed", num_delay_steps=2)) == "delayed, up to 2 steps late"
    assert sync_words(Sync(codecs=(("gradients", "bf16"),))) == "hierarchical, gradients as bf16"


def test_what_is_sent_and_how_fast():
    assert agreement_line(AGREEMENT) == (
        "streaming_diloco every 100 steps, in 8 parts, up to 1 step late, pseudogradients as int4, "
        "4 GB over each link in 3.5 s, 8 Mbit/s on average, 800 Mbit/s at its peak"
    )
    assert agreement_line(dataclasses.replace(AGREEMENT, exchange_bytes=0.0)).endswith("int4")
