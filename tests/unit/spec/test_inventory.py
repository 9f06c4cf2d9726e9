"""What people write of environments: by hand, as YAML and CSV, and what hostfiles and Slurm say."""

from __future__ import annotations

import pytest

from crosszone.core.environment import Environment
from crosszone.errors import SpecError, UnknownName
from crosszone.spec.clusters import check_path, cluster_keys, missing_links, node_groups
from crosszone.spec.inventory import KEYS, LISTS, changed, environment, read_inventory

NOW = 1_763_000_000.0
WHOLE = {
    "id": "env-001",
    "name": "pytorch-dev-env",
    "kind": "jupyter",
    "status": "运行中",
    "zone": "北京可用区A",
    "region": "alibaba:cn-beijing",
    "image": "pytorch",
    "gpu": "A100",
    "gpus": 2,
    "cpus": 16,
    "memory": "128 GB",
    "disk": "1 TB",
    "network": "2x200 Gbit/s",
    "addresses": ["10.0.0.1", "node1"],
    "interface": "eth0",
    "frameworks": ["ddp", "fsdp"],
    "driver": "550.54.15",
    "cuda": "12.4",
    "nccl": "2.21.5",
    "health": "healthy",
    "price": "1.8 USD/h",
    "uptime": "5 d",
    "preemptible": True,
    "draining": True,
}


def read(**entry):
    return environment({"name": "a", "zone": "east", **entry}, now_seconds=NOW, source="hand")


def test_every_key_says_a_field():
    assert set(WHOLE) == {"id", *KEYS, *LISTS}
    found = environment(WHOLE, now_seconds=NOW, source="hand")
    assert found == Environment(
        id="env-001",
        name="pytorch-dev-env",
        kind="jupyter",
        status="running",
        zone="北京可用区A",
        region="alibaba:cn-beijing",
        image="pytorch",
        gpu="a100-sxm4-80gb",
        num_gpus=2,
        num_cpus=16,
        memory_bytes=128e9,
        disk_bytes=1e12,
        network_bytes_per_second=50e9,
        num_rails=2,
        addresses=("10.0.0.1", "node1"),
        interface="eth0",
        frameworks=("ddp", "fsdp"),
        driver_version="550.54.15",
        cuda_version="12.4",
        nccl_version="2.21.5",
        health="healthy",
        dollars_per_gpu_second=1.8 / 3600,
        started_seconds=NOW - 5 * 86400,
        is_preemptible=True,
        is_draining=True,
        source="hand",
        seen_seconds=NOW,
        created_seconds=NOW,
        updated_seconds=NOW,
    )


@pytest.mark.parametrize(
    ("written", "gpu", "num_gpus"),
    [
        ({"gpu": "8x A100"}, "a100-sxm4-80gb", 8),
        ({"gpu": "2×V100"}, "v100-sxm2-16gb", 2),
        ({"gpu": "NVIDIA H100 SXM5 80GB", "gpus": 4}, "h100-sxm5-80gb", 4),
        ({"gpu": "4x Homemade 9000"}, "Homemade 9000", 4),
        ({}, None, 0),
    ],
)
def test_gpus_are_called_as_the_catalog_calls_them(written, gpu, num_gpus):
    found = read(**written)
    assert (found.gpu, found.num_gpus) == (gpu, num_gpus)


def test_everything_that_is_wrong_is_told_at_once():
    with pytest.raises(SpecError) as caught:
        environment(
            {"name": "", "memroy": "1 GB", "memory": 64, "status": "up", "gpus": 8, "preemptible": "yes", "id": "Ü"},
            now_seconds=NOW,
            source="hand",
            where="environments[2]",
        )
    found = {each.where.removeprefix("environments[2]."): each for each in caught.value.findings}
    assert set(found) == {"name", "memroy", "memory", "status", "preemptible", "id", "zone", "gpu"}
    assert found["memroy"].hint == 'Did you mean "memory"?'
    assert found["memory"].code == "no_unit"
    assert found["zone"].code == "missing_key"
    assert found["gpu"].message == "it has 8 GPUs, and which is not said."


@pytest.mark.parametrize(
    ("cells", "place", "said"),
    [
        ("h100,-8", "line 2.gpus", 'gpus "-8" is negative.'),
        ("h100,many", "line 2.gpus", 'gpus "many" does not start with a number.'),
        ("-8x h100,", "line 2.gpu", 'gpus "-8" is negative.'),
    ],
)
def test_a_wrong_number_of_gpus_is_told_as_wrong_and_not_as_missing(cells, place, said):
    ((where, entry),) = read_inventory(f"name,zone,gpu,gpus\na,x,{cells}\n", "csv")
    with pytest.raises(SpecError) as caught:
        environment(entry, now_seconds=NOW, source="hand", where=where)
    assert [(each.where, each.message) for each in caught.value.findings] == [(place, said)]


@pytest.mark.parametrize("value", [None, 3, [], {}, "x" * 2000, True, float("nan"), "\x00", ["\n"]])
@pytest.mark.parametrize("key", ["id", *KEYS, *LISTS])
def test_no_value_is_a_mistake_of_ours(key, value):
    assert refused_places(**{key: value}) <= {key, "gpu"}


def refused_places(**entry):
    try:
        read(**entry)
    except SpecError as error:
        return {each.where for each in error.findings}
    return set()


@pytest.mark.parametrize("address", ["-oProxyCommand=id", "a b", "a;id", "$(id)", "user@host", "a/b", "a\n"])
def test_an_address_is_never_an_option_or_a_program(address):
    with pytest.raises(SpecError):
        read(addresses=[address])
    assert read(addresses=["10.0.0.1", "node-1.example", "fe80::1"]).addresses[2] == "fe80::1"


def test_a_change_leaves_the_rest_and_null_takes_away():
    known = environment(WHOLE, now_seconds=NOW, source="hand")
    after = changed(known, {"status": "stopped", "price": None, "addresses": None}, now_seconds=NOW + 1)
    assert (after.status, after.dollars_per_gpu_second, after.addresses) == ("stopped", None, ())
    assert (after.name, after.memory_bytes, after.created_seconds) == (known.name, known.memory_bytes, NOW)
    assert after.updated_seconds == NOW + 1
    for entry in ({"name": None}, {"zone": None}, {"id": "env-2"}, {"gpu": None}, {"colour": "red"}):
        with pytest.raises(SpecError):
            changed(known, entry, now_seconds=NOW)


def test_yaml_is_a_list_under_one_key():
    text = "environments:\n- {name: a, zone: x, gpu: 8x A100}\n- {name: b}\n"
    found = read_inventory(text, "yaml", {"zone": "y"})
    assert found == (
        ("environments[0]", {"name": "a", "zone": "x", "gpu": "8x A100"}),
        ("environments[1]", {"name": "b", "zone": "y"}),
    )


def test_csv_has_a_head_and_empty_cells_say_nothing():
    text = "\ufeffname, zone ,gpu,gpus,memory,addresses,preemptible\n大,x,A100,8,64 GB,10.0.0.1;n1,TRUE\n\nb,,,,,,\n"
    first, second = read_inventory(text, "csv", {"zone": "y"})
    assert first[0] == "line 2"
    assert first[1] == {
        "name": "大",
        "zone": "x",
        "gpu": "A100",
        "gpus": "8",
        "memory": "64 GB",
        "addresses": "10.0.0.1;n1",
        "preemptible": True,
    }
    assert second[1] == {"name": "b", "zone": "y"}
    found = environment(first[1], now_seconds=NOW, source="csv")
    assert (found.num_gpus, found.addresses, found.is_preemptible) == (8, ("10.0.0.1", "n1"), True)


def test_a_hostfile_has_names_and_slots():
    text = "# nodes\nworker-1 slots=8\nworker-2 slots = 4 # half\n\nworker-3\n"
    found = read_inventory(text, "hostfile", {"zone": "x", "gpu": "a100"})
    assert [(place, entry.get("gpus")) for place, entry in found] == [("line 2", 8), ("line 3", 4), ("line 5", None)]
    assert found[0][1]["addresses"] == ["worker-1"]
    with pytest.raises(SpecError, match='line 1: "port=22" is not understood'):
        read_inventory("a port=22", "hostfile")


SINFO = """node-1|idle|64|515000|gpu:a100:8(S:0-1)|0.01|nvme
node-1|idle|64|515000|gpu:a100:8(S:0-1)|0.01|nvme
node-2|mixed-|32|256000|gpu:4|1.5|(null)
node-3|drained|32|256000|(null)|0.00|(null)
node-4|idle*|32|256000|gpu:tesla_v100:2,craynetwork:1|N/A|x
"""


def test_slurm_says_what_its_nodes_are():
    found = {entry["name"]: entry for _, entry in read_inventory(SINFO, "slurm", {"zone": "x"})}
    assert [(entry.get("gpu"), entry.get("gpus")) for entry in found.values()] == [
        ("a100", 8),
        (None, 4),
        (None, None),
        ("tesla_v100", 2),
    ]
    assert [entry["status"] for entry in found.values()] == ["running", "running", "stopped", "running"]
    assert [entry["draining"] for entry in found.values()] == [False, False, True, False]
    first = environment(found["node-1"], now_seconds=NOW, source="slurm")
    assert (first.num_cpus, first.memory_bytes, first.kind) == (64, 515000 * 2**20, "slurm")
    with pytest.raises(SpecError, match="it has 1 cells"):
        read_inventory("PARTITION AVAIL", "slurm")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "csv"),
        ("name,zone\n", "csv"),
        ("name\na,b\n", "csv"),
        ('name\n"a\n', "csv"),
        ("", "yaml"),
        ("a: [", "yaml"),
        ("environments: {}", "yaml"),
        ("environments: [3]", "yaml"),
        ("model: x", "yaml"),
        ("# nobody", "hostfile"),
        ("", "slurm"),
    ],
)
def test_files_that_are_no_inventory_are_told(text, kind):
    with pytest.raises(SpecError):
        read_inventory(text, kind)


def test_other_formats_are_told():
    with pytest.raises(UnknownName, match='"csv", "hostfile", "kubernetes", "slurm" or "yaml"'):
        read_inventory("", "excel")


def node(key, zone="east", **fields):
    made = {"gpu": "a100-sxm4-80gb", "num_gpus": 8, **fields}
    return Environment(id=key, name=key, zone=zone, **made)


def test_environments_that_are_alike_become_one_node_group():
    chosen = [
        node("a", memory_bytes=123456789012.0, addresses=("10.0.0.1",), region="alibaba:cn-beijing"),
        node("b", num_gpus=4, dollars_per_gpu_second=1.7 / 3600),
        node("c", zone="west", network_bytes_per_second=1e11, num_rails=4),
        node("d", memory_bytes=123456789012.0, addresses=("10.0.0.4", "d")),
    ]
    assert [[each.id for each in group] for group in node_groups(chosen)] == [["a", "d"], ["b"], ["c"]]
    known = {("east", "west"): {"bandwidth": "10 Gbit/s"}, ("east", "north"): {"bandwidth": "1 Gbit/s"}}
    assert cluster_keys(chosen, known) == {
        "zones": [
            {
                "name": "east",
                "region": "alibaba:cn-beijing",
                "nodes": [
                    {
                        "count": 2,
                        "gpu": "a100-sxm4-80gb",
                        "gpus_per_node": 8,
                        "memory": "123.456789012 GB",
                        "addresses": ["10.0.0.1", "10.0.0.4"],
                    },
                    {"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 4, "price": "1.7 USD/h"},
                ],
            },
            {
                "name": "west",
                "nodes": [{"count": 1, "gpu": "a100-sxm4-80gb", "gpus_per_node": 8, "network": "4x200 Gbit/s"}],
            },
        ],
        "links": [{"from": "east", "to": "west", "bandwidth": "10 Gbit/s"}],
    }
    assert missing_links(chosen, known) == (("west", "east"),)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ({"bandwidth": "10"}, "bandwidth"),
        ({"rtt": "30 ms"}, "nothing says how much it carries"),
        ({"bandwith": "10 Gbit/s"}, 'Did you mean "bandwidth"'),
        ({"bandwidth": "10 Gbit/s", "loss": 7}, "loss"),
        ({"bandwidth": "10 Gbit/s", "between": ["a", "b"]}, "between"),
        ({}, "nothing says"),
    ],
)
def test_paths_are_written_as_in_a_job_file(path, told):
    with pytest.raises(SpecError, match=told):
        check_path(path)
    check_path({"bandwidth": "10 Gbit/s", "rtt": "30 ms", "loss": "0.01%"})
