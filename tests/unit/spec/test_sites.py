"""Zones and node groups: facts of the catalog, and defaults of a GPU's standard system."""

from __future__ import annotations

import pytest

from crosszone.spec import read_job


def only_group(job):
    return read_job(job).cluster.zones[0].node_groups[0]


def notices(problem) -> dict[str, str]:
    return {notice.where: notice.message for notice in problem.assumed + problem.warnings}


def node(**keys):
    return {"cluster.zones.0.nodes.0": {"count": 2, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8, **keys}}


def test_every_key_reaches_the_node_group(small):
    keys = {
        "fabric": {"kind": "nvlink", "num_gpus": 4, "bandwidth": "200 GB/s"},
        "network": "2x100 Gbit/s",
        "memory": "1 TiB",
        "cpus": 96,
        "disk": "4 TB",
        "addresses": ["10.0.0.1", "node-2.example"],
        "interface": "eth0",
        "image": "pytorch:2.9",
        "price": "3.6 USD/h",
        "preemptible": True,
        "mtbf": "30 d",
    }
    group = only_group(small(node(**keys)))
    assert (group.fabric.kind, group.fabric.num_gpus, group.fabric.bytes_per_second) == ("nvlink", 4, 200e9)
    assert (group.network_bytes_per_second, group.num_rails) == (25e9, 2)
    assert (group.host_memory_bytes, group.num_cpus, group.disk_bytes) == (2**40, 96, 4e12)
    assert group.addresses == ("10.0.0.1", "node-2.example")
    assert (group.interface, group.image, group.is_preemptible) == ("eth0", "pytorch:2.9", True)
    assert group.dollars_per_gpu_second == pytest.approx(0.001)
    assert group.mtbf_seconds == 30 * 86400
    assert group.num_gpus == 16


def test_zone_keys(small):
    keys = {"scheduler": "slurm", "uplink": "40 Gbit/s", "oversubscription": 4, "location": [1.5, -2]}
    zone = read_job(small({f"cluster.zones.0.{key}": value for key, value in keys.items()})).cluster.zones[0]
    assert (zone.scheduler, zone.uplink_bytes_per_second, zone.oversubscription) == ("slurm", 5e9, 4)
    assert (zone.latitude_degrees, zone.longitude_degrees) == (1.5, -2)


class TestStandardSystem:
    def test_network_and_fabric_are_assumed(self, small):
        problem = read_job(small())
        group = problem.cluster.zones[0].node_groups[0]
        assert (group.network_bytes_per_second, group.num_rails) == (200e9, 8)
        assert {"cluster.zones[0].nodes[0].network", "cluster.zones[0].nodes[0].fabric"} == set(notices(problem))
        assert "8x200 Gbit/s" in notices(problem)["cluster.zones[0].nodes[0].network"]

    @pytest.mark.parametrize(("size", "rails"), [(1, 1), (2, 2), (4, 4), (16, 8)])
    def test_network_goes_with_the_gpus_of_a_node(self, small, size, rails):
        group = only_group(small(node(gpus_per_node=size)))
        assert (group.num_rails, group.network_bytes_per_second) == (rails, rails * 25e9)

    def test_fabric_ends_at_the_node(self, small):
        assert only_group(small(node(gpus_per_node=4))).fabric.num_gpus == 4
        assert only_group(small(node(gpus_per_node=16))).fabric.num_gpus == 8

    def test_fabric_of_a_rack_reaches_beyond_nodes(self, small):
        rack = node(gpu="gb200-nvl72", gpus_per_node=4, count=36)
        assert only_group(small(rack)).fabric.num_gpus == 72
        part = node(gpu="gb200-nvl72", gpus_per_node=4, count=3)
        assert only_group(small(part)).fabric.num_gpus == 12

    def test_without_a_fabric_it_is_pcie(self, small):
        group = only_group(small(node(gpu="t4-16gb", gpus_per_node=4) | {"workload.precision": "fp16"}))
        assert (group.fabric.kind, group.fabric.num_gpus) == ("pcie", 4)
        assert group.fabric.bytes_per_second == pytest.approx(15.75e9, rel=0.01)

    def test_part_of_a_fabric_may_be_written(self, small):
        group = only_group(small(node(fabric={"kind": "pcie"})))
        assert group.fabric.bytes_per_second == pytest.approx(31.5e9, rel=0.01)


def test_fabric_that_the_gpu_does_not_have(small, only):
    finding = only(small(node(fabric={"kind": "xgmi"})))
    assert (finding.where, finding.code) == ("cluster.zones[0].nodes[0].fabric", "unknown_fact")


def test_fabric_larger_than_the_group(small, only):
    finding = only(small(node(fabric={"num_gpus": 72})))
    assert finding.where == "cluster.zones[0].nodes[0].fabric.num_gpus"
    assert "16" in finding.hint


def test_unknown_gpu(small, only):
    finding = only(small(node(gpu="a100-sxm4-81gb")))
    assert (finding.where, finding.code) == ("cluster.zones[0].nodes[0].gpu", "unknown_name")
    assert '"a100-sxm4-80gb"' in finding.hint


def test_addresses_are_one_for_each_node(small, only):
    finding = only(small(node(addresses=["10.0.0.1"])))
    assert "1 addresses for 2 nodes" in finding.message


def test_two_zones_of_one_name(two_zones, findings):
    job = two_zones({"bandwidth": "1 Gbit/s", "rtt": "30 ms"})
    job["cluster"]["zones"].append(dict(job["cluster"]["zones"][0]))
    told = [("cluster.zones[2].name", "duplicate_name")]
    assert [(finding.where, finding.code) for finding in findings(job)] == told
    name = job["cluster"]["zones"][0]["name"]
    job["cluster"]["zones"][1]["name"] = name  # what the link and the plan call by its old name is no second error
    job["cluster"]["links"].append({"between": [name, name], "bandwidth": "1 Gbit/s"})
    told = [(f"cluster.zones[{index}].name", "duplicate_name") for index in (1, 2)]
    assert [(finding.where, finding.code) for finding in findings(job)] == told


def test_preposterous_number_of_gpus(small, only):
    assert only(small(node(count=100_000, gpus_per_node=1024))).where == "cluster.zones"


def test_uneven_groups_are_legal(small):
    nodes = [
        {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 2},
        {"count": 3, "gpu": "h100-sxm5-80gb", "gpus_per_node": 8},
        {"count": 1, "gpu": "rtx-4090-24gb", "gpus_per_node": 1},
    ]
    zone = read_job(small({"cluster.zones.0.nodes": nodes})).cluster.zones[0]
    assert [group.num_gpus for group in zone.node_groups] == [2, 24, 1]


class TestRegion:
    def test_gives_coordinates(self, small):
        zone = read_job(small({"cluster.zones.0.region": "alibaba:cn-beijing"})).cluster.zones[0]
        assert (zone.latitude_degrees, zone.longitude_degrees) == (39.9, 116.41)

    def test_of_ones_own_is_a_warning(self, small):
        problem = read_job(small({"cluster.zones.0.region": "cellar"}))
        assert problem.cluster.zones[0].region == "cellar"
        assert problem.cluster.zones[0].latitude_degrees is None
        assert "no prices" in notices(problem)["cluster.zones[0].region"]

    def test_misspelt_is_a_warning_with_the_nearest(self, small):
        problem = read_job(small({"cluster.zones.0.region": "alibaba:cn-bejing"}))
        assert "alibaba:cn-beijing" in notices(problem)["cluster.zones[0].region"]

    def test_gives_the_price_of_a_gpu(self, small):
        job = small(node(gpu="h100-sxm5-80gb") | {"cluster.zones.0.region": "gcp:us-central1"})
        problem = read_job(job)
        price = problem.cluster.zones[0].node_groups[0].dollars_per_gpu_second
        assert 1 < price * 3600 < 20
        assert "USD/h" in notices(problem)["cluster.zones[0].nodes[0].price"]
        assert only_group(job | {"model": "llama-2-13b"}).dollars_per_gpu_second == price

    def test_written_price_comes_first(self, small):
        job = small(node(gpu="h100-sxm5-80gb", price="0 USD/h") | {"cluster.zones.0.region": "gcp:us-central1"})
        assert only_group(job).dollars_per_gpu_second == 0

    def test_unknown_price_is_none(self, small):
        assert only_group(small({"cluster.zones.0.region": "alibaba:cn-beijing"})).dollars_per_gpu_second is None
