"""`crosszone doctor`: what is printed, and its exit codes."""

import json

import pytest

from crosszone import service
from crosszone.core.preflight import (
    Interface,
    MeasuredLink,
    NodeFacts,
    NodePath,
    PortTry,
    PreflightFinding,
    PreflightReport,
    ProbedNode,
    Rate,
)
from crosszone.core.ranks import RankPair, RankReport, RankStep

JOB = """
model: {num_layers: 2, hidden_size: 64, ffn_size: 128, num_heads: 4, num_kv_heads: 2, vocab_size: 512}
workload: {sequence_length: 32, global_batch_size: 12, precision: fp32}
cluster:
  zones:
    - {name: north, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 2, addresses: [10.0.0.1]}]}
    - {name: south, nodes: [{count: 1, gpu: a100-sxm4-80gb, gpus_per_node: 1, addresses: [10.1.0.1]}]}
  links: [{between: [north, south], bandwidth: 1 Gbit/s, rtt: 20 ms}]
plan: {dp: 3, microbatch_size: 2}
"""
FACTS = NodeFacts(
    hostname="n",
    python_version="3.11.7",
    python_path="python3",
    package_versions=(("torch", "2.10.0"),),
    cuda_version="12.8",
    nccl_version=None,
    driver_version=None,
    gpus=(),
    num_cpus=8,
    memory_bytes=64e9,
    free_memory_bytes=60e9,
    free_disk_bytes=1e12,
    interfaces=(Interface(name="eth0", mtu_bytes=1500, bytes_per_second=None, is_up=True),),
    congestion_control="cubic",
    socket_bytes=4e6,
    is_clock_synchronised=None,
    missing_programs=(),
)
FINDING = PreflightFinding(
    code="unreachable",
    severity="error",
    where="10.1.0.1 -> 10.0.0.1",
    message="no connection to port 29500, where ranks meet: timed out.",
    cause="Packets are dropped on the way.",
    fix="Allow TCP on port 29500 from 10.1.0.1 to 10.0.0.1.",
)


def report(*findings: PreflightFinding) -> PreflightReport:
    nodes = tuple(
        ProbedNode(index=index, zone=zone, node_group=0, node=0, address=address)
        for index, (zone, address) in enumerate((("north", "10.0.0.1"), ("south", "10.1.0.1")))
    )
    open_path = NodePath(
        from_node=0,
        to_node=1,
        resolved=("10.1.0.1",),
        tries=(PortTry(port=40000, problem=None),),
        interface="eth0",
        rtt_seconds=0.02,
        clock_offset_seconds=0.003,
        rates=(Rate(num_streams=8, bytes_per_second=1.25e8),),
    )
    closed = NodePath(from_node=1, to_node=0, resolved=("10.0.0.1",), tries=(PortTry(port=29500, problem="timed_out"),))
    return PreflightReport(
        is_ready=not findings,
        verdict="Not ready." if findings else "Ready.",
        measured="2026-11-21T07:00:00+00:00",
        elapsed_seconds=12.0,
        nodes=nodes,
        facts=(FACTS, None),
        paths=(open_path, closed),
        measured_links=(
            MeasuredLink(
                from_zone="north: 1",
                to_zone="south",
                bytes_per_second=1.25e8,
                node_bytes_per_second=None,
                flow_bytes_per_second=None,
                num_streams=1,
                rtt_seconds=0.02,
                is_lower_bound=False,
            ),
        ),
        findings=findings,
        not_measured=("Bandwidth of 2 of 6 ordered pairs of nodes.",),
    )


@pytest.fixture
def job(tmp_path) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return str(path)


@pytest.fixture
def looked(monkeypatch):
    """Answers in place of a look at nodes; the request is kept."""
    asked = []

    def give(value: PreflightReport) -> list:
        def preflight(request, *, reach, on_progress):
            asked.append(request)
            return value

        monkeypatch.setattr(service, "preflight", preflight)
        return asked

    return give


def test_it_says_what_stands_in_the_way_why_and_what_to_do(run, job, looked) -> None:
    looked(report(FINDING))
    result = run("doctor", job)
    assert result.code == 4
    text = " ".join(result.out.split())
    for words in (f"error {FINDING.where}: {FINDING.message}", f"Cause: {FINDING.cause}", f"Fix: {FINDING.fix}"):
        assert words in text
    assert "20 ms, 1 Gbit/s" in result.out
    assert "closed" in result.out
    assert "not reachable from here" in result.out
    assert "Not ready. (12 s)" in result.out
    assert '  - from: "north: 1"\n      to: "south"\n      bandwidth: 1 Gbit/s' in result.out.replace("    -", "  -")


def test_json_has_links_to_paste_and_the_exit_code_is_the_same(run, job, looked) -> None:
    looked(report(FINDING))
    result = run("doctor", job, "--json")
    assert result.code == 4
    assert result.json["links"] == [
        {"from": "north: 1", "to": "south", "bandwidth": "1 Gbit/s", "rtt": "20 ms", "streams": 1}
    ]
    assert result.json["measured"].startswith("2026-11-21")
    assert result.json["facts"][0]["package_versions"] == {"torch": "2.10.0"}
    assert result.json["facts"][1] is None
    assert result.json["ranks"] is None
    looked(report())
    assert run("doctor", job, "--json").code == 0


def test_the_request_is_the_jobs(run, job, looked) -> None:
    asked = looked(report())
    assert run("doctor", job, "--port", "12345", "--seconds", "0.5").code == 0
    (request,) = asked
    assert [(node.zone, node.address) for node in request.nodes] == [("north", "10.0.0.1"), ("south", "10.1.0.1")]
    assert (request.port, request.window_seconds) == (12345, 0.5)
    assert {(link.from_zone, link.to_zone) for link in request.links} == {("north", "south"), ("south", "north")}


def test_addresses_that_are_missing_are_all_named(run, tmp_path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.replace(", addresses: [10.0.0.1]", "").replace(", addresses: [10.1.0.1]", ""))
    result = run("doctor", str(path), "--json")
    assert result.code == 2
    assert [each["where"] for each in result.json["errors"]] == [
        "cluster.zones[0].nodes[0].addresses",
        "cluster.zones[1].nodes[0].addresses",
    ]


def test_an_address_that_is_no_address_reaches_no_command(run, tmp_path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(JOB.replace("10.0.0.1", '"-oProxyCommand=touch x"'))
    result = run("doctor", str(path))
    assert result.code == 2
    assert "is not a host name or IP address" in result.err


def test_a_reach_file_names_nodes_of_the_job(run, job, tmp_path) -> None:
    (tmp_path / "reach.toml").write_text('"10.0.0.9" = ["true"]\n')
    result = run("doctor", job, "--reach", str(tmp_path / "reach.toml"))
    assert result.code == 2
    assert 'no node is at "10.0.0.9". Nodes are at 10.0.0.1, 10.1.0.1.' in result.err


def test_a_bundle_says_where_ranks_meet_and_what_they_need(run, job, looked, tmp_path) -> None:
    bundle = tmp_path / "bundle"
    options = (
        "--framework",
        "fsdp",
        "--backend",
        "bare",
        "--checkpoints",
        "/shared/x",
        "--port",
        "23456",
        "--steps",
        "3",
    )
    sharded = job.replace("job.yaml", "sharded.yaml")
    with open(sharded, "w") as file:
        file.write(JOB.replace("microbatch_size: 2", "microbatch_size: 2, shard: parameters, dp_shard: 3"))
    assert run("deploy", sharded, *options, "-o", str(bundle)).code == 0
    asked = looked(report())
    assert run("doctor", str(bundle)).code == 0
    (request,) = asked
    assert request.port == 23456
    assert [node.address for node in request.nodes] == ["10.0.0.1", "10.1.0.1"]
    assert request.needs == ("torch", "transformers")
    assert request.needs_gpus
    assert request.checkpoint_folder == "/shared/x"
    assert request.checkpoint_bytes is None or request.checkpoint_bytes > 0
    refused = run("doctor", str(bundle), "--ranks")
    assert refused.code == 2
    assert "--ranks starts ranks on this machine only" in refused.err
    assert len(asked) == 1, "before any node was looked at"


def test_a_folder_that_is_no_bundle(run, tmp_path) -> None:
    result = run("doctor", str(tmp_path))
    assert result.code == 2
    (tmp_path / "metadata.json").write_text("[]")
    result = run("doctor", str(tmp_path))
    assert result.code == 2
    assert "is no bundle" in result.err


def test_this_machine(run) -> None:
    result = run("doctor", "--json")
    assert result.code == 0
    (facts,) = result.json["facts"]
    assert facts["python_version"]
    assert facts["interfaces"]
    assert json.dumps(result.json["links"]) == "[]"


def ranks(**changes) -> RankReport:
    step = RankStep(how="fsdp", is_equal=True, largest_difference=4e-8, tolerance=1e-5, least_change=0.0098)
    values = {
        "is_ready": True,
        "verdict": "Ready: 2 ranks met.",
        "backend": "gloo",
        "num_ranks": 2,
        "sums": (1, 1),
        "expected_sum": 1,
        "pairs": (RankPair(from_rank=0, to_rank=1, rtt_seconds=1e-4, bytes_per_second=1e9),),
        "step": step,
    }
    return RankReport(**{**values, **changes})


def test_ranks_that_met(run, looked, tmp_path, monkeypatch) -> None:
    looked(report())
    monkeypatch.setattr(service, "probe_request", lambda target, **options: None)
    monkeypatch.setattr(service, "check_ranks", lambda folder: ranks())
    result = run("doctor", str(tmp_path), "--ranks")
    assert result.code == 0
    assert "1, expected 1" in result.out
    assert "fsdp: each tensor changed by 0.0098 or more" in result.out
    failed = ranks(is_ready=False, verdict="Not ready.", sums=(), step=None, pairs=(), problem="no route")
    monkeypatch.setattr(service, "check_ranks", lambda folder: failed)
    result = run("doctor", str(tmp_path), "--ranks", "--json")
    assert result.code == 4
    assert result.json["ranks"]["problem"] == "no route"


def test_ranks_need_a_bundle(run, looked) -> None:
    looked(report())
    result = run("doctor", "--ranks")
    assert result.code == 2
    assert "ranks are started from a bundle" in result.err
