"""Arithmetic across fields: the two numbers that conflict, and the nearest legal values."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize(
    ("plan", "where", "numbers", "nearest"),
    [
        ({"tp": 3}, "plan.tp", ("3", "32 heads"), "tp 2 or 4"),
        ({"cp": 3}, "plan.cp", ("2*cp = 6", "4096"), "cp 2 or 4"),
        ({"pp": 8, "num_virtual_stages": 8}, "plan.pp", ("8*8 = 64", "32 layers"), "num_virtual_stages 1 or 2 or 4"),
        (
            {"pp": 4, "num_virtual_stages": 3},
            "plan.num_virtual_stages",
            ("4*3 = 12", "32 layers"),
            "num_virtual_stages 2 or 4",
        ),
        ({"pp": 1, "num_virtual_stages": 2}, "plan.num_virtual_stages", ("2", "pp is 1"), "pp above 1"),
        ({"num_virtual_stages": 2, "schedule": "1f1b"}, "plan.num_virtual_stages", ("2", "1f1b"), "interleaved_1f1b"),
        ({"num_virtual_stages": 1, "schedule": "interleaved_1f1b"}, "plan.schedule", ("above 1",), "1f1b"),
        ({"pp": 1, "schedule": "interleaved_1f1b"}, "plan.schedule", ("pp above 1",), "1f1b"),
        ({"pp": 1, "schedule": "gpipe"}, "plan.schedule", ("gpipe needs pp above 1",), "1f1b"),
        ({"pp": 1, "schedule": "cross_ud"}, "plan.schedule", ("cross_ud needs pp above 1",), "1f1b"),
        ({"pp": 1, "schedule": "dualpipe"}, "plan.schedule", ("dualpipe needs pp above 1",), "1f1b"),
        ({"tp": 1, "sequence_parallel": True}, "plan.sequence_parallel", ("tp is 1",), "tp above 1"),
        ({"microbatch_size": 3}, "plan.microbatch_size", ("3", "256"), "microbatch_size 2 or 4"),
        ({"microbatch_size": 512}, "plan.microbatch_size", ("512", "256"), "256"),
        ({"microbatch_size": 32, "dp": 16}, "plan.dp", ("16*32 = 512", "256"), "dp to 8"),
        ({"dp": 8, "dp_shard": 3}, "plan.dp_shard", ("3", "dp 8"), "dp_shard 2 or 4"),
        ({"dp": 8, "dp_shard": 4, "shard": "none"}, "plan.dp_shard", ("4", "none"), "dp_shard: 1"),
        ({"ep": 2}, "plan.ep", ("2", "no experts"), "ep: 1"),
        ({"stages": [{"num_layers": 20}, {"num_layers": 10}]}, "plan.stages", ("20+10 = 30", "32"), "Add 2 layers"),
        ({"pp": 3, "stages": [{"num_layers": 32}]}, "plan.stages", ("pp is 3", "1 stages"), "pp: 1"),
        (
            {"stages": [{"num_layers": 16}, {"num_layers": 16, "first_layer": 17}]},
            "plan.stages[1].first_layer",
            ("17", "16"),
            "first_layer: 16",
        ),
        ({"stages": [{"num_layers": 32, "zone": "b"}]}, "plan.stages[0].zone", ('"b"',), '"a"'),
        ({"stages": [{"num_layers": 32, "tp": 5}]}, "plan.stages[0].tp", ("5", "32"), "tp 2 or 4 or 8"),
        (
            {"stages": [{"num_layers": 32, "zone": "a", "node_group": 1}]},
            "plan.stages[0].node_group",
            ("1", '"a"'),
            "0 at most",
        ),
        ({"replicas": [{"zones": ["c"]}]}, "plan.replicas[0].zones[0]", ('"c"',), '"a"'),
        ({"dp": 3, "replicas": [{"zones": ["a"]}]}, "plan.replicas", ("dp is 3", "1 replicas"), "dp: 1"),
        ({"pp": 4, "replicas": [{"zones": ["a", "a"]}]}, "plan.replicas[0].zones", ("2 zones", "4 stages"), "4 zones"),
        (
            {"replicas": [{"zones": ["a"], "weight": 0.5}, {"zones": ["a"], "weight": 0.4}]},
            "plan.replicas",
            ("0.9",),
            "shares of one",
        ),
        (
            {"replicas": [{"zones": ["a"], "weight": 0.7}, {"zones": ["a"], "weight": 0.4}, {"zones": ["a"]}]},
            "plan.replicas",
            ("1.1",),
            "shares of one",
        ),
        (
            {
                "replicas": [
                    {"zones": ["a"], "num_replicas": 2, "num_microbatches": 32, "weight": 0.75},
                    {"zones": ["a"]},
                ]
            },
            "plan.replicas[0].weight",
            ("0.75 is 192", "2*32 = 64"),
            "weight: 0.25",
        ),
        (
            {"idle_gpus": [{"zone": "a", "num_gpus": 9}, {"zone": "a", "num_gpus": 8}]},
            "plan.idle_gpus[1].num_gpus",
            ("17", "16"),
            "16",
        ),
        (
            {"idle_gpus": [{"zone": "a", "num_gpus": 99}], "tp": 8, "pp": 2, "dp": 2},
            "plan.idle_gpus[0].num_gpus",
            ("99", "16"),
            "16",
        ),
        (
            {"microbatch_size": 2, "replicas": [{"zones": ["a"], "num_replicas": 2, "num_microbatches": 60}]},
            "plan.replicas",
            ("120 microbatches of 2 = 240", "256"),
            "128",
        ),
        ({"recompute": "selective", "recompute_layers": 3}, "plan.recompute_layers", ("3", "selective"), "full"),
        (
            {"stages": [{"num_layers": 20, "recompute_layers": 3}, {"num_layers": 12}]},
            "plan.stages[0].recompute_layers",
            ("3", "absent"),
            "full",
        ),
        ({"idle_gpus": [{"zone": "a", "num_gpus": 17}]}, "plan.idle_gpus[0].num_gpus", ("17", "16"), "16"),
        ({"idle_gpus": [{"zone": "x", "num_gpus": 1}]}, "plan.idle_gpus[0].zone", ('"x"',), '"a"'),
    ],
)
def test_contradiction(small, only, plan, where, numbers, nearest):
    finding = only(small({"plan": plan}))
    assert finding.where == where
    assert all(number in finding.message for number in numbers), finding.message
    assert nearest in finding.hint


@pytest.mark.parametrize(
    "plan",
    [
        {"tp": 8, "pp": 2, "dp": 1, "cp": 1},
        {"tp": 4, "pp": 2},
        {"tp": 2, "dp": 8, "dp_shard": 4, "shard": "parameters"},
        {"cp": 4, "tp": 2},
        {"pp": 4, "num_virtual_stages": 4, "schedule": "interleaved_1f1b"},
        {"pp": 3},
        {"dp": 5},
        {"tp": 2, "cp": 1, "pp": 1, "dp": 7, "idle_gpus": [{"zone": "a", "num_gpus": 2}]},
        {"stages": [{"num_layers": 20}, {"num_layers": 12}], "replicas": [{"zones": ["a", "a"], "num_replicas": 2}]},
        {"stages": [{"num_layers": 20}, {"num_layers": 12}], "num_virtual_stages": 3, "schedule": "interleaved_1f1b"},
        {"replicas": [{"zones": ["a"], "weight": 0.75}, {"zones": ["a"], "weight": 0.25}]},
        {"replicas": [{"zones": ["a"], "weight": 0.333, "num_microbatches": 85}, {"zones": ["a"]}]},
        {"microbatch_size": 2, "replicas": [{"zones": ["a"], "num_replicas": 2, "num_microbatches": 64}]},
    ],
)
def test_legal(small, findings, plan):
    assert findings(small({"plan": plan})) == ()


class TestVirtualStages:
    @pytest.mark.parametrize(
        ("plan", "hint"),
        [
            ({"pp": 16, "num_virtual_stages": 8}, "num_virtual_stages 1."),
            ({"pp": 16, "num_virtual_stages": 7}, "num_virtual_stages 1; or pp 6 or 9 or 18."),
            ({"pp": 16, "num_virtual_stages": 8, "schedule": "interleaved_1f1b"}, "Set schedule: 1f1b"),
            ({"pp": 9, "num_virtual_stages": 4, "schedule": "interleaved_1f1b"}, "num_virtual_stages 2 or 7 or 14."),
        ],
    )
    def test_hint_is_legal(self, small, findings, plan, hint):
        (finding,) = findings(small({"model": "llama-3.1-405b", "plan": plan, "cluster.zones.0.nodes.0.count": 64}))
        assert hint in finding.hint, finding

    def test_every_pair_that_a_hint_names_is_legal(self, small, findings):
        for pp in range(2, 40, 3):
            for chunks in range(2, 20, 3):
                plan = {"pp": pp, "num_virtual_stages": chunks}
                found = findings(small({"model": "llama-3.1-405b", "plan": plan}))
                text = " ".join(one.hint for one in found if "virtual" in one.message)
                for name, other in (("num_virtual_stages", {"pp": pp}), ("pp", {"num_virtual_stages": chunks})):
                    for number in _numbers_after(name, text):
                        better = findings(small({"model": "llama-3.1-405b", "plan": {**other, name: number}}))
                        assert not [one for one in better if "layers" in one.message], (plan, name, number)


def _numbers_after(name: str, hint: str) -> list[int]:
    found = re.search(rf"{name} (\d+(?: or \d+)*)", hint)
    return [int(number) for number in found[1].split(" or ")] if found else []


class TestIdleGpus:
    def test_in_an_excluded_zone_do_not_count(self, two_zones, findings):
        job = two_zones({"bandwidth": "10 Gbit/s", "rtt": "30 ms"})
        job["constraints"] = {"exclude_zones": ["sh"]}
        job["plan"] = {"tp": 8, "pp": 1, "dp": 1, "idle_gpus": [{"zone": "sh", "num_gpus": 8}]}
        assert findings(job) == ()


class TestExperts:
    def test_divide_the_experts(self, small, only):
        finding = only(small({"model": "mixtral-8x7b", "plan.ep": 3}))
        assert (finding.where, "3" in finding.message, "8 experts" in finding.message) == ("plan.ep", True, True)
        assert "ep 2 or 4" in finding.hint

    def test_divide_the_ranks(self, small, only):
        finding = only(small({"model": "mixtral-8x7b", "plan": {"ep": 8, "tp": 2, "cp": 1, "dp": 2}}))
        assert "2*1*2 = 4" in finding.message
        assert "4" in finding.hint


class TestWorldSize:
    @pytest.fixture
    def uneven(self, small):
        """The seed's three nodes with 2, 4 and 8 GPUs."""

        def make(plan):
            nodes = [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": size} for size in (2, 4, 8)]
            return small({"cluster.zones.0.nodes": nodes, "plan": plan})

        return make

    def test_sixty_four_ranks_on_fourteen_gpus(self, uneven, only):
        finding = only(uneven({"dp": 2, "pp": 4, "tp": 8}))
        assert (finding.where, finding.code) == ("plan", "too_few_gpus")
        assert "tp*pp*dp = 8*4*2 = 64" in finding.message
        assert "14 GPUs" in finding.message
        assert "{tp: 2, pp: 7, dp: 1}" in finding.hint
        assert "add 50 GPUs" in finding.hint

    def test_what_is_proposed_is_legal(self, uneven, findings):
        assert findings(uneven({"tp": 2, "pp": 7, "dp": 1, "cp": 1})) == ()

    def test_uneven_nodes_are_legal(self, uneven, findings):
        assert findings(uneven({"tp": 2})) == ()

    def test_too_many_gpus_need_names(self, uneven, only, findings):
        plan = {"tp": 2, "cp": 1, "pp": 2, "dp": 2}
        finding = only(uneven(plan))
        assert (finding.where, finding.code) == ("plan", "too_many_gpus")
        assert "2*1*2*2 = 8" in finding.message
        assert "6 GPUs in idle_gpus" in finding.hint
        idle = [{"zone": "a", "node_group": 0, "num_gpus": 2}, {"zone": "a", "node_group": 1, "num_gpus": 4}]
        assert findings(uneven({**plan, "idle_gpus": idle})) == ()

    def test_idle_gpus_do_not_work(self, small, only):
        plan = {"tp": 8, "cp": 1, "pp": 1, "dp": 2, "idle_gpus": [{"zone": "a", "num_gpus": 8}]}
        finding = only(small({"plan": plan}))
        assert "16 GPUs, 8 of them idle" in finding.message

    def test_free_degrees_are_not_judged(self, uneven, findings):
        assert findings(uneven({"tp": 2, "dp": 2})) == ()

    def test_silence_about_cp_is_one_where_the_rest_is_fixed(self, uneven, only):
        finding = only(uneven({"tp": 2, "pp": 1, "dp": 2}))
        assert finding.code == "too_many_gpus"
        assert "tp*pp*dp = 2*1*2 = 4, but the cluster has 14 GPUs" in finding.message
        assert "{tp: 2, pp: 1, dp: 7}" in finding.hint

    def test_implied_degrees_count(self, small, only):
        plan = {"tp": 8, "cp": 1, "stages": [{"num_layers": 32}], "replicas": [{"zones": ["a"]}]}
        assert "8*1*1*1 = 8" in only(small({"plan": plan})).message

    def test_excluded_zones_have_no_gpus(self, two_zones, only):
        job = two_zones({"bandwidth": "1 Gbit/s", "rtt": "30 ms"})
        job |= {"plan": {"tp": 8, "dp": 2}, "constraints": {"exclude_zones": ["sh"]}}
        finding = only(job)
        assert "not excluded have 8 GPUs" in finding.message

    def test_a_single_degree(self, small, only):
        assert "dp = 17 ranks, but the cluster has 16 GPUs" in only(small({"plan.dp": 17})).message


def test_more_stages_than_layers(small, only):
    finding = only(small({"plan.pp": 33, "cluster.zones.0.nodes.0.count": 8}))
    assert (finding.where, finding.hint) == ("plan.pp", "Set pp to 32 at most.")
    assert "pp = 33 stages for the model's 32 layers" in finding.message


def test_all_zones_excluded(small, only):
    assert only(small({"constraints.exclude_zones": ["a"]})).code == "no_zones"


def test_excluded_zone_that_is_not_there(small, only):
    assert only(small({"constraints.exclude_zones": ["b"]})).where == "constraints.exclude_zones[0]"


def test_dataset_in_a_zone_that_is_not_there(small, only):
    assert only(small({"workload.dataset": {"zone": "b"}})).where == "workload.dataset.zone"


def test_odd_sequence_has_no_context_parallelism(small, only):
    finding = only(small({"workload.sequence_length": 4095, "plan.cp": 2}))
    assert finding.hint == "Nearest legal: cp 1."
