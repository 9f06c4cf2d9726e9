"""How zones agree: what crosses the link, what is exposed, what a rank keeps, and what is said of it."""

import dataclasses
import math

import pytest

from crosszone.core.plan import Sync
from crosszone.core.problem import Problem
from crosszone.cost.parameters import num_parameters
from crosszone.frameworks import framework_facts
from crosszone.planner.complete import placed
from crosszone.timeline.predict import predict_plan

REPLICAS = {"tp": 1, "pp": 1, "microbatch_size": 1, "shard": "none"}
EVERY = (1, 2, 10, 100)


@pytest.fixture
def agreed(job):
    """The prediction of replicas over two zones under DDP that agree as `sync` says."""

    def make(sync=None, *, plan=None, framework="ddp", **more):
        problem: Problem = job({**REPLICAS, **(plan or {}), "sync": sync or {}}, framework=framework, **more)
        found = placed(problem)
        return predict_plan(problem, found, framework_facts(found.framework))

    return make


def exposed(prediction, name="zone_agreement"):
    return next(term.exposed_seconds for term in prediction.terms if term.name == name)


def sent(prediction):
    return {link.step_bytes for link in prediction.links}


def test_a_synchronous_step_sends_one_gradient_each_way(agreed, job):
    prediction = agreed()
    (moved,) = sent(prediction)
    assert moved == pytest.approx(4.0 * num_parameters(job(REPLICAS).model))
    assert prediction.sync.exchange_bytes == moved
    assert not prediction.sync.changes_mathematics
    assert prediction.sync.effect == "none: every step is that of one cluster"
    assert prediction.warnings == ()


@pytest.mark.parametrize("method", ["local_sgd", "diloco", "streaming_diloco"])
def test_agreeing_less_often_sends_less_and_is_faster(agreed, method):
    found = [agreed({"method": method, "every": every}) for every in EVERY]
    moved = [one.links[0].step_bytes for one in found]
    assert moved == pytest.approx([moved[0] / every for every in EVERY])
    steps = [one.step_seconds for one in found]
    assert steps == sorted(steps, reverse=True)
    assert all(
        one.sync.mean_bytes_per_second == pytest.approx(one.links[0].step_bytes / one.step_seconds) for one in found
    )


def test_terms_add_up_whatever_the_way(agreed):
    for method in ("flat", "hierarchical", "delayed", "local_sgd", "diloco", "streaming_diloco"):
        prediction = agreed({"method": method, "every": 4})
        assert sum(term.exposed_seconds for term in prediction.terms) == pytest.approx(prediction.step_seconds)
        assert all(term.overlapped_seconds >= 0.0 for term in prediction.terms)
        assert exposed(prediction) > 0.0


def test_a_blocking_exchange_is_shared_by_the_steps_between(agreed):
    one, ten = agreed({"method": "diloco"}), agreed({"method": "diloco", "every": 10})
    assert exposed(one) == pytest.approx(one.sync.exchange_seconds)
    assert exposed(ten) == pytest.approx(one.sync.exchange_seconds / 10)


def test_a_late_exchange_hides_behind_a_step(agreed):
    late, now = agreed({"method": "delayed"}), agreed()
    rest = late.step_seconds - exposed(late)
    assert exposed(late) == pytest.approx(late.sync.exchange_seconds - rest)
    assert exposed(late) < exposed(now)


def test_streaming_needs_less_bandwidth_at_its_peak(agreed):
    whole = agreed({"method": "diloco", "every": 100})
    parts = agreed({"method": "streaming_diloco", "every": 100, "fragments": 4, "delay": 20})
    assert parts.sync.num_fragments == 4
    assert parts.sync.peak_bytes_per_second < whole.sync.peak_bytes_per_second
    assert exposed(parts) < exposed(whole)
    assert parts.links[0].step_bytes == whole.links[0].step_bytes


def test_fragments_default_to_three_layers_each(agreed):
    assert agreed({"method": "streaming_diloco", "every": 100}).sync.num_fragments == 3  # of 8 layers


@pytest.mark.parametrize("codec", ["bf16", "fp16", "int8_block", "int4", "powersgd_rank_4", "topk_64"])
def test_codecs_send_less_and_take_time(agreed, codec):
    plain, packed = agreed(), agreed({"codecs": {"gradients": codec}})
    assert packed.links[0].step_bytes < plain.links[0].step_bytes
    assert packed.step_seconds < plain.step_seconds
    term = next(term for term in packed.terms if term.name == "zone_agreement")
    assert next(each.value for each in term.inputs if each.name == "codec_seconds") > 0.0
    assert packed.sync.changes_mathematics
    assert codec in packed.sync.effect


def test_on_a_fast_link_packing_does_not_pay(agreed):
    fast = {"link": {"bandwidth": "100 Tbit/s", "rtt": "1 us"}, "plan": {"overlap_fraction": 0}}
    plain, packed = agreed(**fast), agreed({"codecs": {"gradients": "topk_64"}}, **fast)
    term = {term.name: term for term in packed.terms}["zone_agreement"]
    assert exposed(packed) >= next(each.value for each in term.inputs if each.name == "codec_seconds")
    assert plain.step_seconds > 0.0


def test_gathered_messages_go_to_everyone(agreed, job):
    """Top-k: of two zones each sends its message to the other once."""
    parameters = num_parameters(job(REPLICAS).model)
    (moved,) = sent(agreed({"codecs": {"gradients": "topk_64"}}))
    assert moved == pytest.approx(parameters / 64 * 8, rel=1e-3)


def test_two_sums_after_each_other_wait_twice(agreed):
    far = {"link": {"bandwidth": "1 Tbit/s", "rtt": "4 s"}, "plan": {"bucket_bytes": "1 GB"}}
    once, twice = (agreed({"codecs": {"gradients": name}}, **far) for name in ("bf16", "powersgd_rank_4"))
    seconds = [
        next(
            each.value
            for term in one.terms
            if term.name == "zone_agreement"
            for each in term.inputs
            if each.name == "latency_seconds"
        )
        for one in (once, twice)
    ]
    assert seconds == pytest.approx([4.0, 8.0])


def test_outer_states_are_held_or_offloaded(agreed, job):
    parameters = num_parameters(job(REPLICAS).model)
    plain, outer = agreed(), agreed({"method": "diloco", "every": 100})
    assert outer.sync.held_bytes == pytest.approx(8.0 * parameters)
    assert outer.memory.stages[0].optimizer_bytes - plain.memory.stages[0].optimizer_bytes == pytest.approx(
        8.0 * parameters
    )
    streamed = agreed({"method": "streaming_diloco", "every": 100, "fragments": 4})
    assert streamed.sync.held_bytes == pytest.approx(12.0 / 4 * parameters)
    assert streamed.host_memory_bytes == pytest.approx(4 * 8.0 * parameters)  # of the 4 ranks of a node
    assert agreed({"codecs": {"gradients": "topk_64"}}).sync.held_bytes == pytest.approx(4.0 * parameters / 8)


def test_one_zone_keeps_and_sends_nothing(agreed):
    prediction = agreed({"method": "diloco", "every": 10}, num_zones=1)
    assert prediction.sync is None
    assert prediction.links == ()
    assert exposed(prediction) == 0.0
    assert any("diloco has no effect" in line for line in prediction.warnings)


def test_what_nobody_allowed_is_told_with_its_effect(agreed):
    (warning,) = agreed({"method": "local_sgd", "every": 8}).warnings
    assert "does not name local_sgd" in warning
    assert "drift apart for 8 steps" in warning


def test_a_stated_overlap_replaces_the_computed_one_and_is_assumed(agreed):
    fast = {"bandwidth": "40 Gbit/s"}
    none, half = (agreed(plan={"overlap_fraction": share}, link=fast) for share in (0.0, 0.5))
    assert exposed(half) == pytest.approx(exposed(none) / 2)
    assert exposed(half, "gradient_agreement") == pytest.approx(exposed(none, "gradient_agreement") / 2)
    assert any(line.startswith("plan.overlap_fraction: 0.5") for line in half.assumed)
    assert not any("overlap_fraction" in line for line in agreed().assumed)


def test_no_stated_overlap_is_faster_than_the_link(agreed):
    whole = agreed(plan={"overlap_fraction": 1.0})
    assert whole.step_seconds == pytest.approx(given(whole, "transfer_seconds"))


def given(prediction, name):
    term = {term.name: term for term in prediction.terms}["zone_agreement"]
    return {each.name: each.value for each in term.inputs}[name]


def latency(prediction):
    return given(prediction, "latency_seconds")


def test_buckets_follow_each_other(agreed, job):
    """Collectives of one process group wait for those before: each bucket pays its two ways of 10 ms."""
    gradient = 4.0 * num_parameters(job(REPLICAS).model)
    for size in (1e6, 25e6, 1e9):
        found = agreed(plan={"bucket_bytes": f"{size:.0f} B"})
        assert latency(found) == pytest.approx(math.ceil(gradient / size) * 2 * 0.01)
    assert latency(agreed({"method": "diloco"}, plan={"bucket_bytes": "1 MB"})) == pytest.approx(2 * 0.01)


def test_sharded_layers_follow_each_other(agreed):
    """Eight layers, and embedding and head; buckets are DDP's."""
    shards = {"shard": "parameters", "dp_shard": 8}
    few, many = (agreed(plan={**shards, "bucket_bytes": size}, framework="fsdp") for size in ("1 MB", "1 GB"))
    assert latency(few) == latency(many) == pytest.approx(9 * 2 * 0.01)


def test_a_flat_ring_crosses_once(agreed, job):
    """One rank of each part of the model sends: one flow, of one node, however many replicas a zone has."""
    thin = {"per_flow": "100 Mbit/s", "bandwidth": "10 Gbit/s"}
    flat, once = (agreed({"method": method}, link=thin) for method in ("flat", "hierarchical"))
    assert flat.links[0].bytes_per_second == pytest.approx(12.5e6)
    assert once.links[0].bytes_per_second == pytest.approx(8 * 12.5e6)
    node = {"per_node": "1 Gbit/s", "bandwidth": "10 Gbit/s"}
    flat, once = (agreed({"method": method}, link=node) for method in ("flat", "hierarchical"))
    assert flat.links[0].bytes_per_second == pytest.approx(125e6)
    assert once.links[0].bytes_per_second == pytest.approx(2 * 125e6)


def test_buckets_and_prefetch_are_the_plan_s(agreed):
    fast = {"bandwidth": "400 Gbit/s", "rtt": "1 us"}
    small, large = (agreed(plan={"bucket_bytes": size}, link=fast, sequence_length=32768) for size in ("25 MB", "1 GB"))
    assert exposed(small) < exposed(large)  # the last bucket is never hidden
    assert small.memory.stages[0].buffer_bytes < large.memory.stages[0].buffer_bytes
    shards = {"shard": "parameters", "dp_shard": 8}
    none, one, four = (agreed(plan={**shards, "prefetch": n}, framework="fsdp") for n in (0, 1, 4))
    assert exposed(none, "weight_gather") > exposed(one, "weight_gather")
    assert none.memory.peak_bytes < one.memory.peak_bytes < four.memory.peak_bytes
    assert one.memory == agreed(plan=shards, framework="fsdp").memory


@pytest.mark.parametrize("plan", [{}, {"tp": 4, "pp": 4, "shard": "none"}], ids=["dp", "pp"])
def test_links_share_what_is_exposed(agreed, plan):
    """What each direction exposes adds up to what the terms expose: nothing is told twice."""
    found = agreed(plan=plan, framework="megatron", link={"per_flow": "1 Mbit/s"})
    terms = ("zone_agreement", "zone_pipeline_send", "embedding_agreement")
    whole = sum(exposed(found, name) for name in terms)
    assert whole > 0.0
    assert sum(link.exposed_seconds for link in found.links) == pytest.approx(whole)


def test_a_link_waits_for_its_latency_once_an_exchange(agreed):
    once, rarely = (agreed({"method": "diloco", "every": every}).links[0] for every in (1, 1000))
    assert once.raw_seconds == pytest.approx(once.groups[0].seconds + 0.01)
    assert rarely.raw_seconds == pytest.approx(once.raw_seconds / 1000)


@pytest.mark.parametrize("name", ["topk_1", "powersgd_rank_100000", "bf16"])
def test_a_codec_that_does_not_pack_is_told(agreed, name):
    bf16 = {"dtypes": {"gradient_reduction": "bf16"}} if name == "bf16" else {}
    found = agreed({"codecs": {"gradients": name}}, **bf16)
    assert any("sends as much as none" in line and name in line for line in found.warnings)
    fine = agreed({"codecs": {"gradients": "int8_block"}}, **bf16)
    assert not any("sends as much as none" in line for line in fine.warnings)


def test_a_codec_of_what_does_not_cross_is_told(agreed):
    found = agreed({"codecs": {"activations": "int8_block"}})
    assert any("codecs.activations has no effect" in line for line in found.warnings)


def test_more_streams_carry_more_over_a_window(agreed):
    thin = {"link": {"window": "100 kB"}}
    assert agreed({"streams": 8}, **thin).step_seconds < agreed(**thin).step_seconds


@pytest.mark.parametrize("algorithm", ["ring", "tree", "direct"])
def test_ways_of_a_sum_between_two_zones_carry_one_gradient(agreed, job, algorithm):
    (moved,) = sent(agreed({"algorithm": algorithm}))
    assert moved == pytest.approx(4.0 * num_parameters(job(REPLICAS).model))


def test_packed_activations_cross_smaller(job):
    problem = job({"tp": 1, "pp": 2, "microbatch_size": 1}, framework="megatron")
    plan = placed(problem)
    assert "pp" in plan.zone_axis
    packed = dataclasses.replace(plan, sync=Sync(codecs=(("activations", "int8_block"),)))
    before, after = (predict_plan(problem, one, framework_facts("megatron")) for one in (plan, packed))
    assert after.links[0].step_bytes == pytest.approx(before.links[0].step_bytes * (1 + 4 / 256) / 2, rel=1e-6)
    assert after.step_seconds < before.step_seconds
    assert "activations as int8_block" in after.sync.effect
