"""`crosszone doctor` over several zones on one machine: network namespaces, with faults that were put there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crosszone import service

MODEL = {"num_layers": 2, "hidden_size": 64, "ffn_size": 128, "num_heads": 4, "vocab_size": 512}
WIDE_BYTES_PER_SECOND = 12.5e6
WIDE_RTT_SECONDS = 0.030
WITHIN = 0.15


pytestmark = pytest.mark.slow


def job(zones: dict[str, list[str]], bandwidth: str, rtt: str) -> dict:
    nodes = {"gpu": "a100-sxm4-80gb", "gpus_per_node": 2}
    return {
        "model": MODEL,
        "workload": {"sequence_length": 32, "global_batch_size": 12, "precision": "fp32"},
        "cluster": {
            "zones": [
                {"name": name, "nodes": [{**nodes, "count": len(addresses), "addresses": addresses}]}
                for name, addresses in zones.items()
            ],
            "links": [{"between": ["north", "south"], "bandwidth": bandwidth, "rtt": rtt}],
        },
    }


def doctor(folder: Path, value: dict, spaces: dict[str, str]) -> tuple[int, dict]:
    """Exit code and JSON of the program, whose nodes are namespaces by address."""
    (folder / "job.yaml").write_text(json.dumps(value))
    lines = [f'"{address}" = ["ip", "netns", "exec", "{space}"]\n' for address, space in spaces.items()]
    (folder / "reach.toml").write_text("".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "crosszone.cli", "doctor", "job.yaml", "--reach", "reach.toml", "--json"],
        cwd=folder,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 4), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_it_measures_what_the_wire_was_set_to(tmp_path, namespaces, wide_link) -> None:
    north, south = "10.81.0.1", "10.81.0.2"
    with (
        namespaces("n", "s") as spaces,
        wide_link(list(spaces.values()), [north, south], WIDE_BYTES_PER_SECOND, WIDE_RTT_SECONDS),
    ):
        value = job({"north": [north], "south": [south]}, "1 Gbit/s", "10 ms")
        code, found = doctor(tmp_path, value, {north: spaces["n"], south: spaces["s"]})
    assert code == 0, found["findings"]
    for link in found["measured_links"]:
        assert link["bytes_per_second"] == pytest.approx(WIDE_BYTES_PER_SECOND, rel=WITHIN)
        assert link["rtt_seconds"] == pytest.approx(WIDE_RTT_SECONDS, rel=WITHIN)
    assert {(each["code"], each["where"]) for each in found["findings"]} == {
        (code, where)
        for code in ("slower_than_job", "farther_than_job")
        for where in ("north -> south", "south -> north")
    }
    measured = dict(value, cluster=dict(value["cluster"], links=found["links"]))
    link = service.read(measured).cluster.link("north", "south")
    assert link.bytes_per_second == pytest.approx(WIDE_BYTES_PER_SECOND, rel=WITHIN)
    assert 2 * link.latency_seconds == pytest.approx(WIDE_RTT_SECONDS, rel=WITHIN)
    assert found["elapsed_seconds"] < 60


NODES = {"n0": "10.82.0.1", "n1": "10.82.0.2", "n2": "10.82.0.5", "s0": "10.82.0.3", "s1": "10.82.0.4"}


def run_ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def switched(namespaces) -> Iterator[dict[str, str]]:
    """Nodes of two zones on one switch; each has a device `net0`."""
    with namespaces("sw", *NODES) as spaces:
        switch = spaces["sw"]
        run_ip("-n", switch, "link", "add", "bridge0", "type", "bridge")
        run_ip("-n", switch, "link", "set", "bridge0", "mtu", "9000", "up")
        for name, address in NODES.items():
            inside = ("-n", spaces[name])
            run_ip("-n", switch, "link", "add", name, "type", "veth", "peer", "name", "net0", "netns", spaces[name])
            run_ip("-n", switch, "link", "set", name, "mtu", "9000", "master", "bridge0", "up")
            run_ip(*inside, "address", "add", f"{address}/24", "dev", "net0")
            run_ip(*inside, "link", "set", "net0", "up")
        yield spaces


def slow_down(space: str, rate: str) -> None:
    """Hold what leaves a node to a rate."""
    words = f"qdisc add dev net0 root tbf rate {rate} burst 500kb latency 50ms"
    subprocess.run(["tc", "-n", space, *words.split()], check=True, capture_output=True)


def findings(found: dict) -> dict[tuple[str, str], dict]:
    return {(each["code"], each["where"]): each for each in found["findings"]}


def test_it_names_the_pair_the_cause_and_the_fix_of_faults_put_there(tmp_path, namespaces) -> None:
    with switched(namespaces) as spaces:
        run_ip("-n", spaces["s1"], "route", "add", "blackhole", f"{NODES['n1']}/32")
        run_ip("-n", spaces["n1"], "link", "set", "net0", "mtu", "1300")
        for name in NODES:
            slow_down(spaces[name], "40mbit" if name == "s0" else "400mbit")
        zones = {"north": [NODES[name] for name in ("n0", "n1", "n2")], "south": [NODES["s0"], NODES["s1"]]}
        value = job(zones, "300 Mbit/s", "20 ms")
        code, found = doctor(tmp_path, value, {NODES[name]: spaces[name] for name in NODES})
    assert code == 4
    named = findings(found)
    back = named.pop(("unreachable", f"{NODES['n1']} -> {NODES['s1']}"))
    assert "timed out" in back["message"]
    assert "dropped" in back["cause"]
    there = named.pop(("unreachable", f"{NODES['s1']} -> {NODES['n1']}"))
    assert "route" in there["cause"]
    assert f"route on {NODES['s1']}" in there["fix"]
    assert not [each for each in named.values() if each["severity"] == "error"], named
    mtu = named.pop(("mtu_differs", NODES["n1"]))
    assert f"MTU of 1300 bytes, but {NODES['n0']}, {NODES['n2']} 1500" in mtu["message"]
    assert mtu["fix"].endswith(f"`ip link set dev net0 mtu 1500` on {NODES['n1']}.")
    slow = named.pop(("slower_than_job", "south -> north"))
    assert "job file says" in slow["message"]
    assert ("slower_than_job", "north -> south") not in named
    assert set(named) == {("slow_pair", f"{NODES['s0']} -> {NODES['s1']}")}, [path["rates"] for path in found["paths"]]
    assert slow["cause"].endswith("narrower, or others use it.") or "sent again" in slow["cause"]
    rates = {(link["from_zone"], link["to_zone"]): link["bytes_per_second"] for link in found["measured_links"]}
    assert rates["south", "north"] >= 5e6 * (1 - WITHIN)
    (s0,) = [node["index"] for node in found["nodes"] if node["address"] == NODES["s0"]]
    for path in found["paths"]:
        for rate in path["rates"] if path["from_node"] == s0 else ():
            assert rate["bytes_per_second"] == pytest.approx(5e6, rel=WITHIN)
    assert found["elapsed_seconds"] < 60
    assert found["not_measured"]
