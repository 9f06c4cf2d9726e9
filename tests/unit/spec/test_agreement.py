"""What the keys of plan.sync say against each other."""

import pytest

from crosszone.errors import SpecError
from crosszone.spec import read_job


def findings(job):
    with pytest.raises(SpecError) as caught:
        read_job(job)
    return [(finding.where, finding.message) for finding in caught.value.findings]


@pytest.mark.parametrize(
    ("sync", "key", "numbers"),
    [
        ({"method": "flat", "algorithm": "tree"}, "algorithm", ("flat", "tree")),
        ({"method": "diloco", "fragments": 4}, "fragments", ("4", "diloco")),
        ({"method": "streaming_diloco", "fragments": 1000}, "fragments", ("1000", "32 layers")),
        ({"delay": 1}, "delay", ("1", "hierarchical")),
        ({"method": "delayed", "delay": 0}, "delay", ("0", "one step late")),
        ({"method": "diloco", "every": 10, "delay": 11}, "delay", ("11", "10")),
        ({"codecs": {"gradients": "gzip"}}, "codecs.gradients", ('"gzip"', "no known codec")),
        ({"codecs": {"gradients": "int8_blok"}}, "codecs.gradients", ("int8_blok",)),
        ({"codecs": {"activations": "topk_64"}}, "codecs.activations", ("topk_64", "no codec for activations")),
        ({"codecs": {"gradients": 8}}, "codecs.gradients", ("8",)),
        ({"fragments": 0, "method": "streaming_diloco"}, "fragments", ("0",)),
    ],
)
def test_what_cannot_be(small, sync, key, numbers):
    ((where, message),) = findings(small({"plan.sync": sync}))
    assert where == f"plan.sync.{key}"
    assert all(number in message for number in numbers)


def test_all_at_once(small):
    wrong = {"method": "flat", "algorithm": "direct", "fragments": 2, "delay": 3}
    assert {where for where, _ in findings(small({"plan.sync": wrong}))} == {
        "plan.sync.algorithm",
        "plan.sync.fragments",
        "plan.sync.delay",
    }


@pytest.mark.parametrize(
    "sync",
    [
        {"method": "hierarchical", "algorithm": "tree"},
        {"method": "streaming_diloco", "every": 100, "fragments": 8, "delay": 5, "codecs": {"pseudogradients": "int4"}},
        {"method": "delayed", "delay": 2, "codecs": {"gradients": "powersgd_rank_8"}},
        {"codecs": {"gradients": "topk_1000", "activations": "int8_block"}},
    ],
)
def test_what_can_be(small, sync):
    assert read_job(small({"plan.sync": sync})).warnings == ()


def test_a_stream_that_is_not_sent_is_told(small):
    job = read_job(small({"plan.sync": {"method": "diloco", "codecs": {"gradients": "bf16"}}}))
    (notice,) = job.warnings
    assert notice.where == "plan.sync.codecs.gradients"
    assert "exchange pseudogradients" in notice.message


def test_a_share_is_between_none_and_all(small):
    assert read_job(small({"plan.overlap_fraction": "40%"})).plan.overlap_fraction == pytest.approx(0.4)
    assert read_job(small({"plan.overlap_fraction": 0})).plan.overlap_fraction == 0.0
    ((where, _),) = findings(small({"plan.overlap_fraction": 1.5}))
    assert where == "plan.overlap_fraction"
