"""What a way to agree means where it leaves something out, and which words it needs."""

import pytest

from crosszone.core.plan import Sync
from crosszone.timeline.sync_choice import changes, num_delay_steps, num_fragments, stream_codec


def words(sync: Sync, axis: str = "dp") -> list[str]:
    return [word for word, _ in changes(sync, zone_axis=axis, num_zones=2)]


def test_defaults() -> None:
    assert num_fragments(Sync(), 32) == 1
    assert num_fragments(Sync(method="streaming_diloco"), 32) == 11
    assert num_fragments(Sync(method="streaming_diloco", num_fragments=4), 32) == 4
    assert [num_delay_steps(Sync(method=name)) for name in ("hierarchical", "diloco", "delayed")] == [0, 0, 1]
    assert num_delay_steps(Sync(method="streaming_diloco", num_delay_steps=0)) == 0
    assert stream_codec(Sync(), "gradients").name == "none"


@pytest.mark.parametrize(
    ("sync", "needed"),
    [
        (Sync(), []),
        (Sync(method="flat"), []),
        (Sync(every=4), ["batch_change"]),
        (Sync(method="delayed"), ["async"]),
        (Sync(method="local_sgd", every=8), ["local_sgd"]),
        (Sync(method="diloco", every=8, num_delay_steps=2), ["local_sgd", "async"]),
        (Sync(method="streaming_diloco", every=8), ["local_sgd"]),
        (Sync(codecs=(("gradients", "bf16"),)), ["compression"]),
        (Sync(codecs=(("gradients", "none"),)), []),
        (Sync(codecs=(("activations", "int4"),)), []),
        (Sync(method="diloco", codecs=(("gradients", "bf16"),)), ["local_sgd"]),
    ],
)
def test_words_that_replicas_across_zones_need(sync: Sync, needed: list[str]) -> None:
    assert words(sync) == needed


def test_only_what_crosses_counts() -> None:
    packed = Sync(method="diloco", codecs=(("activations", "int4"),))
    assert words(packed, "none") == []
    assert words(packed, "pp") == ["compression"]
    assert words(packed, "dp+pp") == ["local_sgd", "compression"]


def test_each_effect_names_its_source() -> None:
    sync = Sync(method="diloco", every=30, num_delay_steps=1, codecs=(("pseudogradients", "int4"),))
    for _, effect in changes(sync, zone_axis="dp", num_zones=4):
        assert "arXiv" in effect or "2501" in effect
        assert effect.endswith("]")
    assert "4 zones" in changes(sync, zone_axis="dp", num_zones=4)[0][1]
