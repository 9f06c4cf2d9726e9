"""What several tests that run real programs share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest


@pytest.fixture
def small_task() -> dict:
    """A training task over two nodes, small enough for a CPU; a test adds where and how long it trains."""
    return {
        "taskName": "small",
        "datasetId": "synthetic",
        "datasetVersionId": "1",
        "model": {
            "num_layers": 2,
            "hidden_size": 64,
            "ffn_size": 128,
            "num_heads": 4,
            "num_kv_heads": 2,
            "vocab_size": 512,
        },
        "workload": {
            "sequence_length": 32,
            "global_batch_size": 12,
            "precision": "fp32",
            "checkpoint": {"every": "1 s"},
        },
        "distributedConfig": {
            "nodeIds": ["north-1", "south-1"],
            "framework": "pytorch-ddp",
            "strategy": {"dataParallel": 3, "microBatchSize": 2},
            "links": [{"between": ["north", "south"], "bandwidth": "1 Gbit/s", "rtt": "20 ms"}],
        },
    }


@pytest.fixture
def namespaces() -> Callable[..., AbstractContextManager[dict[str, str]]]:
    """`namespaces(*names)`: fresh network namespaces, by short name."""
    if not _has_namespaces():
        pytest.skip("needs root, iproute2 and TUN: zones are network namespaces")
    return _namespaces


@pytest.fixture
def wide_link() -> Callable[..., AbstractContextManager[None]]:
    """`wide_link(spaces, addresses, bytes_per_second, rtt_seconds)`: a wire between two namespaces."""
    return _wide_link


def _run_ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _has_namespaces() -> bool:
    """Whether this machine lets us make network namespaces with TUN devices."""
    if shutil.which("ip") is None or os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK):
        return False
    name = f"crosszone-{os.getpid()}"
    try:
        _run_ip("netns", "add", name)
        _run_ip("netns", "delete", name)
    except subprocess.CalledProcessError:
        return False
    return True


@contextmanager
def _namespaces(*names: str) -> Iterator[dict[str, str]]:
    """Fresh namespaces by short name."""
    full = {name: f"cz{os.getpid()}{name}" for name in names}
    try:
        for each in full.values():
            _run_ip("netns", "add", each)
            _run_ip("-n", each, "link", "set", "lo", "up")
        yield full
    finally:
        for each in full.values():
            subprocess.run(["ip", "netns", "delete", each], check=False, capture_output=True)


@contextmanager
def _wide_link(spaces: list[str], addresses: list[str], bytes_per_second: float, rtt_seconds: float) -> Iterator[None]:
    """A wire between two namespaces."""
    numbers = [f"--bytes-per-second={bytes_per_second}", f"--rtt-seconds={rtt_seconds}"]
    program = [sys.executable, str(Path(__file__).with_name("wide_link.py")), *spaces, *addresses, *numbers]
    process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield
    finally:
        process.communicate(timeout=10)
