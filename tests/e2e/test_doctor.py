"""`crosszone doctor` over several zones on one machine: network namespaces, with faults that were put there."""

from __future__ import annotations

import json
import os
import shutil
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


def run_ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def has_namespaces() -> bool:
    """Whether this machine lets us make network namespaces with TUN devices."""
    if shutil.which("ip") is None or os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK):
        return False
    name = f"crosszone-{os.getpid()}"
    try:
        run_ip("netns", "add", name)
        run_ip("netns", "delete", name)
    except subprocess.CalledProcessError:
        return False
    return True


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_namespaces(), reason="needs root, iproute2 and TUN: zones are network namespaces"),
]


@contextmanager
def namespaces(*names: str) -> Iterator[dict[str, str]]:
    """Fresh namespaces by short name."""
    full = {name: f"cz{os.getpid()}{name}" for name in names}
    try:
        for each in full.values():
            run_ip("netns", "add", each)
            run_ip("-n", each, "link", "set", "lo", "up")
        yield full
    finally:
        for each in full.values():
            subprocess.run(["ip", "netns", "delete", each], check=False, capture_output=True)


@contextmanager
def wide_link(spaces: list[str], addresses: list[str]) -> Iterator[None]:
    """A wire of `WIDE_BYTES_PER_SECOND` and `WIDE_RTT_SECONDS` between two namespaces."""
    numbers = [f"--bytes-per-second={WIDE_BYTES_PER_SECOND}", f"--rtt-seconds={WIDE_RTT_SECONDS}"]
    program = [sys.executable, str(Path(__file__).with_name("wide_link.py")), *spaces, *addresses, *numbers]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield
    finally:
        process.communicate(timeout=10)


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


def test_it_measures_what_the_wire_was_set_to(tmp_path) -> None:
    north, south = "10.81.0.1", "10.81.0.2"
    with namespaces("n", "s") as spaces, wide_link(list(spaces.values()), [north, south]):
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
