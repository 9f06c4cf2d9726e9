"""What environments have together, and which of them is the main one."""

from __future__ import annotations

import pytest

from crosszone.core.environment import Environment, GpuTotal, ZoneTotal, main_environment, totals


def one(key, **fields):
    return Environment(**{"id": key, "name": key, "zone": "east", "gpu": "a100", "num_gpus": 8, **fields})


def test_three_environments_in_three_zones_are_counted_as_such():
    found = totals(
        [
            one("a", zone="北京可用区A", num_gpus=2, num_cpus=16, memory_bytes=128e9),
            one("b", zone="深圳可用区C", num_gpus=4, num_cpus=32, memory_bytes=256e9),
            one("c", zone="上海可用区A", num_gpus=8, num_cpus=64, memory_bytes=512e9),
        ]
    )
    assert (found.num_environments, found.num_gpus, found.num_cpus, found.memory_bytes) == (3, 14, 112, 896e9)
    assert len(found.zones) == 3
    assert found.gpus == (GpuTotal(gpu="a100", num_gpus=14, num_environments=3),)
    assert found.is_distributed


def test_kinds_of_gpus_are_counted_and_what_is_unknown_is_told():
    found = totals([one("a", num_gpus=2), one("b", gpu="v100", num_gpus=2, num_cpus=8), one("c", gpu=None, num_gpus=0)])
    assert found.gpus == (
        GpuTotal(gpu="a100", num_gpus=2, num_environments=1),
        GpuTotal(gpu="v100", num_gpus=2, num_environments=1),
    )
    assert (found.num_cpus, found.num_unknown_cpus, found.num_unknown_memory) == (8, 2, 3)
    assert found.zones == (ZoneTotal(zone="east", num_gpus=4, num_environments=3),)


def test_nothing_has_nothing():
    found = totals([])
    assert (found.num_environments, found.num_gpus, found.gpus, found.is_distributed) == (0, 0, (), False)


GOOD = {"status": "running", "addresses": ("10.0.0.1",)}


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ({"is_preemptible": True}, "somebody may take it back"),
        ({"status": "stopped"}, "it does not run"),
        ({"status": "unreachable"}, "nobody reaches it"),
        ({"status": "unknown"}, "nobody looked"),
        ({"health": "faulty"}, "it is broken"),
        ({"is_draining": True}, "it is about to go"),
        ({"addresses": ()}, "nobody knows where it is"),
    ],
)
def test_the_main_one_is_stable(first, reason):
    assert main_environment([one("a", **{**GOOD, **first}), one("b", **GOOD)]).id == "b", reason
    assert main_environment([one("a", **{**GOOD, **first})]).id == "a"


def test_of_equals_the_first_chosen_is_the_main_one():
    assert main_environment([one("b", **GOOD), one("a", **GOOD)]).id == "b"


def test_the_main_one_is_reached_by_the_others():
    chosen = [one("a", **GOOD), one("b", **{**GOOD, "is_preemptible": True}), one("c", **GOOD)]
    assert main_environment(chosen, [("b", "a"), ("a", "c"), ("b", "c")]).id == "b"
    assert main_environment(chosen, [("b", "a"), ("b", "a"), ("b", "c"), ("a", "c"), ("c", "b"), ("a", "b")]).id == "a"
    assert main_environment(chosen, [("elsewhere", "a")]).id == "a"
