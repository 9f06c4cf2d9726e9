import dataclasses

import pytest

from crosszone.core.cluster import ZoneLink
from crosszone.core.preflight import Interface, PortTry, ProbedGpu
from crosszone.launch.preflight.report import report
from crosszone.launch.preflight.seen import FolderSeen


def found(asked, seen) -> dict[str, object]:
    """Findings by code; each has one place here."""
    whole = report(asked, seen, measured="2026-11-21T00:00:00+00:00", elapsed_seconds=1.0)
    for each in whole.findings:
        assert each.message.endswith(".")
        assert each.cause.endswith(".")
        assert each.fix.endswith(".")
    assert whole.is_ready is not any(each.severity == "error" for each in whole.findings)
    assert len({each.code for each in whole.findings}) == len(whole.findings), whole.findings
    return {each.code: each for each in whole.findings}


def closed(made, start, to, problem, *, port=40000, ports=(29500, 40000)):
    tries = tuple(PortTry(port=each, problem=problem if port in (each, None) else None) for each in ports)
    return {(start, to): made.path(start, to, tries=tries, rtt_seconds=None)}


def test_nodes_that_are_well_have_no_findings(made, seen) -> None:
    asked = made.request(2, 2)
    assert found(asked, seen(asked)) == {}


def test_a_node_that_does_not_answer_is_not_called_dead(made, seen) -> None:
    asked = made.request(2)
    one = found(asked, seen(asked, facts={1: None}, lost={1: "Connection timed out"}, paths={}))["not_reachable"]
    assert one.where == "a1"
    assert one.message == "not reachable from here: Connection timed out."
    assert "may be well" in one.cause


def test_a_firewall_for_all_ports_but_one_is_seen_as_such(made, seen) -> None:
    asked = made.request(1, 1)
    one = found(asked, seen(asked, closed(made, 1, 0, "timed_out")))["unreachable"]
    assert one.where == "b0 -> a0"
    assert "port 29500, where ranks meet answers" in one.message
    assert one.cause == "A firewall lets some ports through and not others."
    assert one.fix == "Allow TCP on all ports from b0 to a0 in firewalls and security groups."


def test_only_the_port_where_ranks_meet_is_closed(made, seen) -> None:
    asked = made.request(1, 1)
    one = found(asked, seen(asked, closed(made, 1, 0, "refused", port=29500)))["unreachable"]
    assert one.fix.startswith("Allow TCP on port 29500 from b0 to a0")


@pytest.mark.parametrize(
    ("problem", "cause"),
    [
        ("timed_out", "dropped on the way"),
        ("refused", "rejects it"),
        ("no_route", "b0 has no route"),
        ("other_node", "leads to another node"),
        ("other_program", "Another program answers"),
        ("Operation not permitted", "The system says: Operation not permitted."),
    ],
)
def test_each_problem_has_its_cause(made, seen, problem, cause) -> None:
    asked = made.request(1, 1)
    one = found(asked, seen(asked, closed(made, 1, 0, problem, port=None)))["unreachable"]
    assert cause in one.cause
    assert "the other direction works" in one.message


def test_a_node_that_nobody_reaches_is_one_finding(made, seen) -> None:
    asked = made.request(2, 2)
    paths = {}
    for start in (0, 1, 2):
        paths |= closed(made, start, 3, "timed_out", port=None)
    one = found(asked, seen(asked, paths))["unreachable"]
    assert one.where == "every other node -> b1"


def test_a_name_is_looked_up_from_every_node(made, seen) -> None:
    asked = made.request(1, 2)
    one = found(asked, seen(asked, {(2, 0): made.path(2, 0, resolved=(), tries=())}))["unresolved"]
    assert one.where == "b1 -> a0"
    assert '"10.0.0.0 a0" to /etc/hosts of b1' in one.fix


def test_an_address_behind_a_translation(made, seen) -> None:
    asked = made.request(1, 1)
    one = found(asked, seen(asked, hidden=((0, 1, "192.168.0.7"),)))["hidden_address"]
    assert one.where == "a0 -> b0"
    assert "192.168.0.7" in one.message


def with_device(facts, **changes):
    lo, device = facts.interfaces
    return dataclasses.replace(facts, interfaces=(lo, dataclasses.replace(device, **changes)))


def test_the_odd_packet_size_of_a_zone(made, seen) -> None:
    asked = made.request(3)
    one = found(asked, seen(asked, facts={1: with_device(made.facts, mtu_bytes=9000)}))["mtu_differs"]
    assert one.where == "a1"
    assert one.message.startswith("eth0 has an MTU of 9000 bytes, but a0, a2 1500; packets above 1500")
    assert one.fix == "Set both alike, as `ip link set dev eth0 mtu 1500` on a1."


def test_two_sizes_of_two_nodes_agree_on_the_smaller(made, seen) -> None:
    asked = made.request(2)
    one = found(asked, seen(asked, facts={0: with_device(made.facts, mtu_bytes=9000)}))["mtu_differs"]
    assert one.where == "a0"


def test_a_tunnel_that_swallows_large_packets(made, seen) -> None:
    asked = made.request(1, 1)
    narrow = {way: made.path(*way, path_mtu_bytes=1420, rates=(made.rate(8, 1e8),)) for way in ((0, 1), (1, 0))}
    one = found(asked, seen(asked, narrow))["narrow_path"]
    assert one.severity == "warning"
    assert "up to 1420 bytes arrive" in one.message
    stuck = {way: dataclasses.replace(each, rates=(made.rate(8, 0.0),)) for way, each in narrow.items()}
    one = found(asked, seen(asked, stuck))["narrow_path"]
    assert one.severity == "error"
    assert "to 1420 on both nodes" in one.fix


def test_the_interface_of_the_job_file(made, seen) -> None:
    asked = made.request(2)
    first = dataclasses.replace(asked.nodes[0], interface="ib0")
    asked = dataclasses.replace(asked, nodes=(first, asked.nodes[1]))
    one = found(asked, seen(asked))["no_interface"]
    assert "there are lo, eth0" in one.message
    ib0 = Interface(name="ib0", mtu_bytes=1500, bytes_per_second=None, is_up=True)
    facts = dataclasses.replace(made.facts, interfaces=(*made.facts.interfaces, ib0))
    one = found(asked, seen(asked, facts={0: facts}))["other_interface"]
    assert one.where == "a0"
    assert "says ib0, but the route to other nodes leaves through eth0" in one.message


def test_versions_side_by_side(made, seen) -> None:
    asked = made.request(3)
    other = dataclasses.replace(made.facts, package_versions=(("torch", "2.9.1"),))
    one = found(asked, seen(asked, facts={2: other}))["versions_differ"]
    assert one.severity == "error"
    assert one.message == "torch is 2.9.1 on a2, but 2.10.0 on a0, a1."
    assert one.fix.startswith("Bring torch to 2.10.0 on a2")
    driver = dataclasses.replace(made.facts, driver_version="550.1")
    assert found(asked, seen(asked, facts={0: driver}))["versions_differ"].severity == "warning"
    patch = dataclasses.replace(made.facts, python_version="3.11.9")
    assert found(asked, seen(asked, facts={0: patch})) == {}


def test_what_ranks_need(made, seen) -> None:
    asked = made.request(1, needs=("torch", "deepspeed"), needs_gpus=True)
    named = found(asked, seen(asked))
    assert "deepspeed is not installed" in named["missing_package"].message
    assert named["no_gpu"].severity == "error"
    gpu = ProbedGpu(name="H100", memory_bytes=85e9, free_bytes=40e9)
    asked = made.request(1, needs_gpus=True)
    facts = {0: dataclasses.replace(made.facts, gpus=(gpu,))}
    assert found(asked, seen(asked, facts=facts))["gpu_in_use"].where == "a0, GPU 0"


def test_torch_and_driver_go_together(made, seen) -> None:
    gpu = ProbedGpu(name="H100", memory_bytes=85e9, free_bytes=84e9)
    good = dataclasses.replace(made.facts, gpus=(gpu,))
    asked = made.request(1, needs=("torch",), needs_gpus=True)
    assert found(asked, seen(asked, facts={0: good})) == {}
    old = dataclasses.replace(good, driver_version="520.61.05")
    one = found(asked, seen(asked, facts={0: old}))["old_driver"]
    assert one.severity == "error"
    assert one.message == "driver 520.61.05 is older than 525, which CUDA 12.8 of torch needs."
    for_cpu = dataclasses.replace(good, cuda_version=None)
    assert "built without CUDA" in found(asked, seen(asked, facts={0: for_cpu}))["cpu_torch"].message


def test_a_machine_without_torch_can_plan(made, seen) -> None:
    asked = made.request(1)
    none = dataclasses.replace(made.facts, package_versions=(("torch", None),))
    assert found(asked, seen(asked, facts={0: none}))["no_torch"].severity == "warning"


def test_clocks_are_judged_beyond_what_the_round_trip_hides(made, seen) -> None:
    asked = made.request(2)
    ahead = {(0, 1): made.path(0, 1, clock_offset_seconds=1.005, rtt_seconds=0.02)}
    assert found(asked, seen(asked, ahead)) == {}
    behind = {(0, 1): made.path(0, 1, clock_offset_seconds=-90.0)}
    one = found(asked, seen(asked, behind))["clock_skew"]
    assert one.message == "its clock is 90 s behind a0's (± 10 ms)."


def test_disk_and_checkpoint_folder(made, seen) -> None:
    asked = made.request(2, checkpoint_folder="/shared/run", checkpoint_bytes=2e12)
    facts = {1: dataclasses.replace(made.facts, free_disk_bytes=3e12)}
    named = found(asked, seen(asked, facts=facts, folder=FolderSeen(writer=0, problem=None, missed_by=(1,))))
    assert named["disk_full"].where == "a0"
    assert named["folder_not_shared"].where == "a1"
    asked = made.request(2, checkpoint_folder="/shared/run")
    folder = FolderSeen(writer=0, problem="Read-only file system", missed_by=())
    assert "Read-only" in found(asked, seen(asked, folder=folder))["folder_unwritable"].message


def test_a_port_that_is_taken(made, seen) -> None:
    asked = made.request(2)
    one = found(asked, seen(asked, port_problem="Address already in use"))["port_in_use"]
    assert one.where == "a0"
    assert "sport = :29500" in one.fix


def link(**changes) -> ZoneLink:
    return ZoneLink(**{"from_zone": "a", "to_zone": "b", "latency_seconds": 0.01, **changes})


def test_the_job_file_is_told_where_it_is_optimistic_by_a_fifth(made, seen) -> None:
    asked = made.request(1, 1, links=(link(bytes_per_second=1e9),))
    for rate, is_told in ((0.81e9, False), (0.79e9, True)):
        paths = {(0, 1): made.path(0, 1, rates=(made.rate(1, rate), made.rate(8, rate)))}
        assert ("slower_than_job" in found(asked, seen(asked, paths))) is is_told
    for rtt, is_told in ((0.0239, False), (0.0241, True)):
        paths = {(0, 1): made.path(0, 1, rtt_seconds=rtt)}
        assert ("farther_than_job" in found(asked, seen(asked, paths))) is is_told


def test_one_connection_that_is_held_back_wants_more_streams(made, seen) -> None:
    asked = made.request(1, 1, links=(link(bytes_per_second=1e9),))
    paths = {(0, 1): made.path(0, 1, rates=(made.rate(1, 0.2e9), made.rate(4, 0.8e9), made.rate(8, 0.99e9)))}
    one = found(asked, seen(asked, paths))["slower_than_job"]
    assert one.where == "a -> b"
    assert "window" in one.cause
    assert one.fix.startswith("Write streams: 8")
    with_streams = made.request(1, 1, links=(link(bytes_per_second=1e9, num_streams=8),))
    assert found(with_streams, seen(with_streams, paths)) == {}


def test_a_narrow_path_is_told_from_a_lossy_one(made, seen) -> None:
    asked = made.request(1, 1, links=(link(bytes_per_second=1e9),))
    for resent, word in ((0.0, "narrower"), (0.05, "loses packets")):
        rates = tuple(made.rate(num, 0.1e9, resent_fraction=resent) for num in (1, 8))
        one = found(asked, seen(asked, {(0, 1): made.path(0, 1, rates=rates)}))["slower_than_job"]
        assert word in one.cause


def test_what_this_program_itself_limits_is_no_reproach(made, seen) -> None:
    asked = made.request(1, 1, links=(link(bytes_per_second=1e11),))
    paths = {(0, 1): made.path(0, 1, rates=(made.rate(1, 2e9, is_at_limit=True),))}
    assert found(asked, seen(asked, paths)) == {}


def test_a_node_slower_than_its_neighbours(made, seen) -> None:
    asked = made.request(4)
    ring = {(0, 1): 1e9, (1, 2): 0.3e9, (2, 3): 1e9, (3, 0): 1.1e9}
    paths = {way: made.path(*way, rates=(made.rate(8, each),)) for way, each in ring.items()}
    one = found(asked, seen(asked, paths))["slow_pair"]
    assert one.where == "a1 -> a2"
    slow_card = with_device(made.facts, bytes_per_second=0.125e9)
    one = found(asked, seen(asked, paths, facts={1: slow_card}))["slow_pair"]
    assert one.cause == "eth0 runs at 1 Gbit/s only."


def test_errors_come_first_and_the_verdict_names_the_first(made, seen) -> None:
    asked = made.request(2)
    skewed = {(0, 1): made.path(0, 1, clock_offset_seconds=90.0)}
    whole = report(
        asked, seen(asked, skewed, port_problem="in use"), measured="2026-11-21T00:00:00+00:00", elapsed_seconds=1.0
    )
    assert [each.severity for each in whole.findings] == ["error", "warning"]
    assert whole.verdict.startswith("Not ready: 1 problem(s) on 2 node(s); first a0: port 29500")
