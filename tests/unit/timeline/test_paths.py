"""Who shares what under the links between zones, and what each gets of it."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from crosszone.frameworks import framework_facts
from crosszone.spec import read_job
from crosszone.timeline.inputs import Inputs, inputs
from crosszone.timeline.paths import (
    achieved_bytes_per_second,
    beside_others,
    crossing,
    queue_name,
    rates_at_once,
    shared,
)

UNIT = 125e6
"""1 Gbit/s in bytes per second."""
FLOWS = np.array([8])


def prepared(
    names: str,
    links: dict[str, dict[str, Any]] | None = None,
    *,
    uplinks: dict[str, str] | None = None,
    network: str = "800 Gbit/s",
    num_nodes: int = 1,
) -> Inputs:
    """Zones of one node of eight GPUs, all pairs at 10 Gbit/s but for what `links` says of pairs such as `ab`."""
    nodes = {"count": num_nodes, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8, "network": network}
    shape = {"num_layers": 8, "hidden_size": 1024, "ffn_size": 2816, "num_heads": 8, "num_kv_heads": 4}
    uplink = {name: {"uplink": rate} for name, rate in (uplinks or {}).items()}
    problem = read_job(
        {
            "model": {**shape, "vocab_size": 32000},
            "workload": {"sequence_length": 2048, "global_batch_size": 48, "precision": "bf16"},
            "cluster": {
                "zones": [{"name": name, "nodes": [nodes], **uplink.get(name, {})} for name in names],
                "links": [
                    {"between": list(pair), "bandwidth": "10 Gbit/s", "rtt": "20 ms", **said}
                    for pair, said in (links or {}).items()
                ],
                "default_link": {"bandwidth": "10 Gbit/s", "rtt": "20 ms"},
            },
        }
    )
    return inputs(problem, (framework_facts("megatron"),))


def rates_of(found: Inputs, *pairs: tuple[int, int]) -> list[float]:
    return list(rates_at_once(found, pairs, FLOWS)[0] / UNIT)


def test_links_of_their_own_do_not_mind_each_other() -> None:
    assert rates_of(prepared("abc"), (0, 1), (0, 2), (1, 2)) == [10.0, 10.0, 10.0]


def test_an_uplink_is_shared_by_all_that_leaves_its_zone_and_all_that_comes() -> None:
    found = prepared("abc", uplinks={"a": "12 Gbit/s"})
    assert rates_of(found, (0, 1)) == [10.0]
    assert rates_of(found, (0, 1), (0, 2)) == pytest.approx([6.0, 6.0])
    assert rates_of(found, (1, 0), (2, 0)) == pytest.approx([6.0, 6.0])
    # Out and in are apart; so is what touches the zone not at all.
    assert rates_of(found, (0, 1), (2, 0), (1, 2)) == pytest.approx([10.0, 10.0, 10.0])


def test_who_needs_less_leaves_the_rest_of_an_uplink() -> None:
    found = prepared("abc", {"ab": {"bandwidth": "2 Gbit/s"}}, uplinks={"a": "9 Gbit/s"})
    assert rates_of(found, (0, 1), (0, 2)) == pytest.approx([2.0, 7.0])


def test_a_shared_path_has_two_directions_where_it_has_two_sides() -> None:
    # A sea cable: a and b on one shore, c and d on the other.
    cable = {"shared": "cable"}
    found = prepared("abcd", dict.fromkeys(("ac", "ad", "bc", "bd"), cable))
    assert rates_of(found, (0, 2), (1, 3)) == pytest.approx([5.0, 5.0])
    assert rates_of(found, (0, 2), (3, 1)) == pytest.approx([10.0, 10.0])
    assert rates_of(found, (0, 2), (0, 1)) == pytest.approx([10.0, 10.0])


def test_the_order_of_zones_does_not_turn_a_path_round() -> None:
    # The same shores, listed crosswise: a and c against b and d.
    found = prepared("abcd", {pair: {"shared": "cable"} for pair in ("ab", "ad", "cb", "cd")})
    assert rates_of(found, (0, 1), (2, 3)) == pytest.approx([5.0, 5.0])
    assert rates_of(found, (0, 1), (3, 2)) == pytest.approx([10.0, 10.0])


def test_a_path_without_sides_is_shared_both_ways() -> None:
    found = prepared("abc", {pair: {"shared": "hub"} for pair in ("ab", "bc", "ac")})
    assert rates_of(found, (0, 1), (1, 2), (2, 0)) == pytest.approx([10 / 3] * 3)
    assert rates_of(found, (0, 1), (1, 0)) == pytest.approx([5.0, 5.0])


def test_a_shared_path_is_as_wide_as_its_widest_link() -> None:
    found = prepared("abc", {"ab": {"bandwidth": "4 Gbit/s", "shared": "cable"}, "ac": {"shared": "cable"}})
    assert {each.bytes_per_second for group in shared(found).values() for each in group if each.takes_turns} == {
        10 * UNIT
    }
    assert rates_of(found, (0, 1), (0, 2)) == pytest.approx([4.0, 6.0])


def test_a_node_sends_no_more_over_several_links_than_over_one() -> None:
    # One node in each zone: what `per_node` allows is divided by the links that leave it, or come.
    capped = prepared("abcd", {pair: {"per_node": "3 Gbit/s"} for pair in ("ab", "ac", "ad", "bc", "bd", "cd")})
    assert rates_of(capped, (0, 1)) == [3.0]
    assert rates_of(capped, (0, 1), (0, 2), (0, 3)) == pytest.approx([1.0] * 3)
    assert rates_of(capped, (1, 0), (2, 0)) == pytest.approx([1.5] * 2)
    assert rates_of(capped, (0, 1), (1, 2), (2, 0)) == [3.0] * 3


def test_a_node_s_network_is_divided_by_its_links() -> None:
    found = prepared("abcd", network="12 Gbit/s")
    assert rates_of(found, (0, 1), (1, 2)) == [10.0, 10.0]
    assert rates_of(found, (0, 1), (0, 2), (0, 3)) == pytest.approx([4.0] * 3)


def test_two_nodes_send_twice_as_much() -> None:
    found = prepared("abcd", {pair: {"per_node": "3 Gbit/s"} for pair in ("ab", "ac", "ad")}, num_nodes=2)
    pairs = [(0, 1), (0, 2), (0, 3)]
    assert rates_at_once(found, pairs, np.array([8, 16])) / UNIT == pytest.approx(np.array([[1.0] * 3, [2.0] * 3]))


def test_messages_queue_where_they_meet() -> None:
    found = prepared("abc", {"ab": {"shared": "cable"}, "ac": {"shared": "cable"}}, uplinks={"b": "4 Gbit/s"})
    pools = np.array([0, 0, 1, 1])
    way = crossing(found, pools, np.array([1, 2, 2, 1]), np.array([8, 8, 8, 8]), np.array([True, True, True, False]))
    assert [queue_name(found, index) for index in way.queue[:3].tolist()] == ["cable there", "cable there", "1>2"]
    assert way.queue[3] == -1
    assert (way.bytes_per_second[:3] / UNIT).tolist() == pytest.approx([4.0, 10.0, 4.0])
    assert np.isnan(way.bytes_per_second[3])


def test_a_path_that_one_link_alone_names_is_that_link() -> None:
    found = prepared("abc", {"ab": {"shared": "x"}})
    way = crossing(found, np.array([0, 0]), np.array([1, 2]), np.array([8, 8]), np.array([True, True]))
    assert [queue_name(found, int(index)) for index in way.queue] == ["0>1", "0>2"]


def test_one_group_shares_an_uplink_with_itself() -> None:
    # b between a and c: hidden states go on to c while gradients go back to a.
    found = prepared("abc", uplinks={"b": "12 Gbit/s"})
    pairs = [(0, 1), (1, 2), (1, 0), (2, 1)]
    alone = np.array([float(achieved_bytes_per_second(found, pair, 8)) for pair in pairs])
    rates = beside_others(found, pairs, [0] * 4, alone, np.full(4, 8.0))
    assert (rates / UNIT).tolist() == pytest.approx([6.0] * 4)


def test_groups_share_a_link_by_their_flows() -> None:
    found = prepared("ab")
    alone = np.array([achieved_bytes_per_second(found, (0, 1), 8)] * 2)
    rates = beside_others(found, [(0, 1), (0, 1)], [0, 1], alone, np.array([6.0, 2.0]))
    assert (rates / UNIT).tolist() == pytest.approx([7.5, 2.5])


def test_messages_of_one_group_take_turns() -> None:
    found = prepared("ab")
    alone = np.array([achieved_bytes_per_second(found, (0, 1), 8)] * 3)
    rates = beside_others(found, [(0, 1), (0, 1), (1, 0)], [0, 0, 1], alone, np.full(3, 8.0))
    assert (rates / UNIT).tolist() == pytest.approx([10.0, 10.0, 10.0])


def test_the_narrowest_network_of_few_nodes_binds() -> None:
    found = prepared("ab")
    slow = dataclasses.replace(found.pools[0].node_group, network_bytes_per_second=1 * UNIT)
    pool = dataclasses.replace(found.pools[0], node_group=slow)
    narrow = dataclasses.replace(found, pools=(pool, *found.pools[1:]))
    assert float(achieved_bytes_per_second(narrow, (0, 1), 8)) / UNIT == pytest.approx(1.0)
