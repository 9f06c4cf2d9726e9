"""Of many zones those that are well linked are tried together, wherever they stand in the job file."""

from typing import Any

import pytest

from crosszone.core.problem import Problem
from crosszone.planner.search import search
from crosszone.planner.zone_sets import MOST_NEAR, MOST_ZONES, zone_sets

NAMES = "abcdefghijklmnopqrstuvwxyz"


def between(one: int, other: int, bandwidth: str) -> dict[str, Any]:
    return {"between": [NAMES[one], NAMES[other]], "bandwidth": bandwidth, "rtt": "2 ms"}


def test_of_a_few_zones_every_set_is_tried(prepared: Any) -> None:
    for number in (2, 3, MOST_ZONES):
        found = zone_sets(prepared(*[2] * number), range(number))
        assert len(found) == len(set(found)) == 2**number - 1


def test_zones_that_are_linked_alike_double_by_their_work(prepared: Any) -> None:
    sizes = [1, 2, 4, 8, 8, 4, 2, 1, 1]
    found = zone_sets(prepared(*sizes), range(9))
    assert found[:9] == tuple((zone,) for zone in range(9))
    assert found[9:] == ((3, 4), (2, 3, 4, 5), (0, 1, 2, 3, 4, 5, 6, 7), tuple(range(9)))


def test_regions_are_tried_whole_and_in_every_part(prepared: Any) -> None:
    """Two regions, and a fast pair of zones in the second: the pair, the regions with their parts, all."""
    near = [between(1, 3, "100 Gbit/s"), between(1, 5, "100 Gbit/s"), between(3, 5, "100 Gbit/s")]
    found = zone_sets(prepared(*[2] * 8, links=[*near, between(6, 7, "400 Gbit/s")], bandwidth="1 Gbit/s"), range(8))
    several = [zones for zones in found if len(zones) > 1]
    assert {(6, 7), (1, 3), (1, 5), (3, 5), (1, 3, 5), tuple(range(8))} <= set(several)
    assert (2, 4) not in several
    assert len(several) == 8  # two and four of all besides, by their work


def test_large_neighbourhoods_double_too(prepared: Any) -> None:
    region = range(2, 2 + MOST_NEAR + 1)
    near = [between(one, other, "100 Gbit/s") for one in region for other in region if one < other]
    found = zone_sets(prepared(*[2] * 9, links=near, bandwidth="1 Gbit/s"), range(9))
    inside = [zones for zones in found if len(zones) > 1 and set(zones) <= set(region)]
    assert [len(zones) for zones in inside] == [2, 4, 5]


def test_sets_do_not_depend_on_small_differences_of_links(prepared: Any) -> None:
    links = [between(one, other, f"{100 + one + other} Gbit/s") for other in range(8) for one in range(other)]
    sets = zone_sets(prepared(*[2] * 8, links=links), range(8))
    assert sets == zone_sets(prepared(*[2] * 8, bandwidth="100 Gbit/s"), range(8))


def test_there_are_never_many_sets(prepared: Any) -> None:
    """Each link twice as fast as the one before: every neighbourhood is one zone larger than another."""
    links = [between(0, zone, f"{2**zone} Gbit/s") for zone in range(1, 20)]
    found = zone_sets(prepared(*[2] * 20, links=links, bandwidth="1 Gbit/s"), range(20))
    assert len(set(found)) == len(found) < 20 + 4 * 20


@pytest.mark.parametrize("names", ["cf", "bdeg"])
def test_well_linked_zones_in_the_middle_beat_the_largest(problem: Any, names: str) -> None:
    """They do twice the work of the largest zone; the largest two together wait for their link."""
    found = search(far_apart(problem, names), top=1).plans[0]
    assert set(found.plan.zones) == set(names)


def test_the_sets_that_are_left_out_hold_no_better_plan(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = far_apart(problem, "cf", framework={"name": "ddp"})
    found = search(asked, top=1).plans[0]
    monkeypatch.setattr("crosszone.planner.zone_sets.MOST_ZONES", 7)
    every = search(asked, top=1).plans[0]
    assert found.prediction.step_seconds == pytest.approx(every.prediction.step_seconds, rel=1e-3)


def far_apart(problem: Any, names: str, **more: Any) -> Problem:
    """Seven zones, of which only those with these names are linked well."""
    places = sorted(NAMES.index(name) for name in names)
    near = [between(one, other, "400 Gbit/s") for one in places for other in places if one < other]
    model = {"hidden_size": 2048, "ffn_size": 5632, "num_heads": 16}
    found: Problem = problem(
        8, 4, 8, 4, 4, 8, 4, model=model, sequences=256, links=near, bandwidth="0.1 Gbit/s",
        **{"framework": {"name": "megatron"}, **more},
    )  # fmt: skip
    return found
