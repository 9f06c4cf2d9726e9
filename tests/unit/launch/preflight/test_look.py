"""The program on nodes, all of them this machine: a few addresses of its loopback device."""

import ast
import dataclasses
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosszone.core.preflight import ProbedNode, ProbeRequest
from crosszone.errors import SpecError
from crosszone.launch.preflight import look as looking
from crosszone.launch.preflight import session
from crosszone.launch.preflight.reach_file import LOADER, SSH, is_here, read_reach, start_command
from crosszone.launch.preflight.report import preflight, report

FOLDER = Path(session.__file__).parent


def nodes(*addresses: str) -> tuple[ProbedNode, ...]:
    return tuple(
        ProbedNode(index=index, zone=f"zone-{index}", node_group=0, node=0, address=address)
        for index, address in enumerate(addresses)
    )


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(looking, "LIMIT_SECONDS", 0.05)
    monkeypatch.setattr(looking, "WARMUP_SECONDS", 0.05)
    monkeypatch.setattr(looking, "MARGIN_SECONDS", 0.1)


@pytest.mark.parametrize("name", session.PARTS)
def test_what_runs_on_nodes_needs_python_3_8_and_the_standard_library(name) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            top = module.partition(".")[0]
            is_part = module.startswith(session.PACKAGE) and module.rpartition(".")[2] in session.PARTS
            assert is_part or top in sys.stdlib_module_names, module


def test_nothing_of_this_package_has_to_be_installed_on_a_node(tmp_path) -> None:
    program = session.node_program()
    said = b'{"node": 0, "token": "t"}\n{"id": 7, "do": "reach", "with": {"targets": []}}\n'
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LOADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"%d\n%s%s" % (len(program), program, said))
    process.stdin.flush()
    assert process.stdout.readline() == b'{"id": 7, "value": []}\n'
    process.stdin.close()
    assert process.wait(5) == 0, "it ends with its input"
    process.stdout.close()


def test_two_nodes_are_looked_at_in_full(port, quick, tmp_path) -> None:
    request = ProbeRequest(
        nodes=nodes("127.0.0.1", "127.0.0.2"), port=port, window_seconds=0.1, checkpoint_folder=str(tmp_path / "runs")
    )
    seen = looking.look(request, {})
    assert not seen.lost
    assert all(facts is not None and facts.python_version for facts in seen.facts)
    assert set(seen.paths) == {(0, 1), (1, 0)}
    for path in seen.paths.values():
        assert path.is_open
        assert path.interface == "lo"
        assert 0 < path.rtt_seconds < 0.1
        assert abs(path.clock_offset_seconds) < 0.1
        assert {rate.num_streams for rate in path.rates} == {1, 4, 8}
        assert all(rate.bytes_per_second > 1e6 for rate in path.rates)
    assert seen.paths[1, 0].tries[0].port == port
    assert seen.folder is not None
    assert seen.folder.problem is None
    assert seen.folder.missed_by == ()
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_and_a_name_that_does_not_resolve(port, quick) -> None:
    asked = nodes("127.0.0.1", "no-such-node.invalid")
    reach = {"no-such-node.invalid": ("env",)}  # it runs here, whatever its name
    with socket.create_server(("127.0.0.1", port)):
        found = preflight(ProbeRequest(nodes=asked, port=port, window_seconds=0.1), reach)
    codes = {each.code: each for each in found.findings}
    assert codes["port_in_use"].where == "127.0.0.1"
    assert codes["unresolved"].where == "127.0.0.1 -> no-such-node.invalid"
    assert not found.is_ready


def test_where_ranks_find_a_port_themselves_none_is_opened_for_them(quick) -> None:
    request = ProbeRequest(nodes=nodes("127.0.0.1"), port=None, window_seconds=0.1)
    found = preflight(request, {})
    assert found.is_ready, found.findings


def test_nodes_that_hang_or_end_are_lost_within_their_time(quick, monkeypatch) -> None:
    monkeypatch.setattr(looking, "START_SECONDS", 2.0)
    monkeypatch.setattr(session, "END_SECONDS", 0.2)
    request = ProbeRequest(nodes=nodes("silent", "refused", "missing"), port=1, window_seconds=100.0)
    reach = {
        "silent": ("bash", "-c", "exec sleep 60"),
        "refused": ("bash", "-c", "echo 'Host key verification failed.' >&2; exit 255"),
        "missing": ("no-such-program-of-ours",),
    }
    started = time.monotonic()
    seen = looking.look(request, reach)
    assert time.monotonic() - started < 10
    assert "no answer within 2 s" in seen.lost[0]
    assert seen.lost[1] == "Host key verification failed."
    assert "No such file" in seen.lost[2]
    assert seen.not_measured == ("bandwidth of 3 of 3 nodes: out of reach.",), "and not for lack of time"
    found = report(request, seen, measured="now", elapsed_seconds=0.0)
    assert [each.code for each in found.findings] == ["not_reachable"] * 3


def test_a_login_that_greets_is_understood(quick) -> None:
    greeting = ("bash", "-c", 'echo "Welcome"; echo "{}"; exec "$@"', "bash")
    request = ProbeRequest(nodes=nodes("a-name"), port=0)
    assert looking.look(request, {"a-name": greeting}).facts[0] is not None


def test_how_nodes_are_started(monkeypatch) -> None:
    monkeypatch.setenv("SSH_USER", "ann")
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.delenv("SSH_CONFIG", raising=False)
    far = ProbedNode(index=0, zone="a", node_group=0, node=0, address="10.9.9.9")
    command = start_command(far, {})
    assert command[: len(SSH)] == SSH
    assert command[len(SSH) : -1] == ("-l", "ann", "--", "10.9.9.9")
    monkeypatch.setenv("SSH_CONFIG", "/etc/ours")
    assert start_command(far, {})[len(SSH) : len(SSH) + 2] == ("-F", "/etc/ours")
    assert command[-1].startswith('exec "${PYTHON:-python3}" -c ')
    here = dataclasses.replace(far, address="127.0.0.5")
    assert start_command(here, {})[1:] == ("-c", LOADER)
    assert start_command(far, {"10.9.9.9": ("kubectl", "exec", "-i", "p", "--")})[-3:] == ("python3", "-c", LOADER)
    jump = start_command(far, {"10.9.9.9": ("ssh", "-J", "door", "10.9.9.9")})
    assert jump[:4] == ("ssh", "-J", "door", "10.9.9.9")
    assert len(jump) == 5, "one word for the shell of the other side"
    assert is_here(None)
    assert is_here("localhost")
    assert not is_here("10.9.9.9")


def test_a_reach_file_with_all_its_mistakes(tmp_path) -> None:
    path = tmp_path / "reach.toml"
    path.write_text('"10.0.0.1" = ["ip", "netns", "exec", "a"]\n')
    assert read_reach(path) == {"10.0.0.1": ("ip", "netns", "exec", "a")}
    path.write_text('a = "ssh a"\nb = []\nc = ["x"]\nd = [1]\n')
    with pytest.raises(SpecError) as error:
        read_reach(path)
    assert len(error.value.findings) == 3
    path.write_text("a = ")
    with pytest.raises(SpecError, match="is no TOML"):
        read_reach(path)
    with pytest.raises(SpecError, match="cannot read the reach file"):
        read_reach(tmp_path / "none.toml")
