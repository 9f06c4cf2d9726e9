"""Nodes and what came back from them, made by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from crosszone.core.preflight import Interface, NodeFacts, NodePath, PortTry, ProbedNode, ProbeRequest, Rate
from crosszone.launch.preflight.seen import Seen

FACTS = NodeFacts(
    hostname="node",
    python_version="3.11.7",
    python_path="python3",
    package_versions=(("torch", "2.10.0"), ("transformers", "5.1.0"), ("deepspeed", None)),
    cuda_version="12.8",
    nccl_version="2.27.5",
    driver_version="570.86.15",
    gpus=(),
    num_cpus=8,
    memory_bytes=64e9,
    free_memory_bytes=60e9,
    free_disk_bytes=1e12,
    interfaces=(
        Interface(name="lo", mtu_bytes=65536, bytes_per_second=None, is_up=True),
        Interface(name="eth0", mtu_bytes=1500, bytes_per_second=1.25e9, is_up=True),
    ),
    congestion_control="cubic",
    socket_bytes=4194304.0,
    is_clock_synchronised=True,
    missing_programs=(),
)


def request(*zones: int, **changes: Any) -> ProbeRequest:
    """As many nodes in each zone; zones are a, b, c, nodes a0, a1, b0."""
    nodes = []
    for zone, count in zip("abcdefghijklm", zones, strict=False):
        for node in range(count):
            name = f"{zone}{node}"
            nodes.append(ProbedNode(index=len(nodes), zone=zone, node_group=0, node=node, address=name))
    return dataclasses.replace(ProbeRequest(nodes=tuple(nodes), port=29500), **changes)


def path(start: int, to: int, **changes: Any) -> NodePath:
    """A path on which all is well."""
    good = NodePath(
        from_node=start,
        to_node=to,
        resolved=(f"10.0.0.{to}",),
        tries=(PortTry(port=29500, problem=None), PortTry(port=40000, problem=None)),
        interface="eth0",
        source_address=f"10.0.0.{start}",
        seen_address=f"10.0.0.{start}",
        rtt_seconds=0.02,
        jitter_seconds=0.001,
        clock_offset_seconds=0.0,
        path_mtu_bytes=1500,
    )
    return dataclasses.replace(good, **changes)


def rate(num_streams: int, bytes_per_second: float, **changes: Any) -> Rate:
    return Rate(num_streams=num_streams, bytes_per_second=bytes_per_second, **changes)


@pytest.fixture
def seen() -> Callable[..., Seen]:
    """What comes back from nodes that are all well, with changes: of paths by pair, of facts by node, of the rest."""

    def make(asked: ProbeRequest, paths: dict | None = None, facts: dict | None = None, **changes: Any) -> Seen:
        indices = [node.index for node in asked.nodes]
        all_paths = {(start, to): path(start, to) for start in indices for to in indices if start != to}
        all_facts = dict.fromkeys(indices, FACTS) | (facts or {})
        well = Seen(
            facts=tuple(all_facts[index] for index in indices),
            lost={},
            paths=all_paths | (paths or {}),
            port_problem=None,
        )
        return dataclasses.replace(well, **changes)

    return make


@pytest.fixture
def made():
    """Makers of requests, paths and rates, and the facts of a good node."""

    class Made:
        request = staticmethod(request)
        path = staticmethod(path)
        rate = staticmethod(rate)
        facts = FACTS

    return Made
