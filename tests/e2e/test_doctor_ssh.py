"""`crosszone doctor` over a real sshd: its nodes are two addresses of the loopback device."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosszone.core.preflight import ProbedNode, ProbeRequest
from crosszone.launch.preflight import reach_file
from crosszone.launch.preflight.report import preflight

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SSHD is None or shutil.which("ssh") is None, reason="there is no sshd (openssh-server)"),
    pytest.mark.skipif(sys.platform != "linux", reason="loopback answers on 127.0.0.2 on Linux only"),
]


def key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path.with_name(f"{path.name}.pub").read_text()


@pytest.fixture
def known_hosts(tmp_path, monkeypatch):
    """The file of known hosts, filled; `SSH_CONFIG` leads to an sshd on two addresses."""
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # made by its service elsewhere
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    host, _ = key(folder / "host"), key(folder / "user")
    (folder / "sshd").write_text(
        f"ListenAddress 127.0.0.1\nListenAddress 127.0.0.2\nPort {port}\nHostKey {folder}/host\n"
        f"AuthorizedKeysFile {folder}/user.pub\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
        f"PermitRootLogin prohibit-password\nSetEnv PYTHON={sys.executable}\n"
    )
    known = folder / "known_hosts"
    known.write_text("".join(f"[127.0.0.{number}]:{port} {host}" for number in (1, 2)))
    (folder / "config").write_text(
        f"Port {port}\nUser {getpass.getuser()}\nIdentityFile {folder}/user\nIdentitiesOnly yes\n"
        f"UserKnownHostsFile {known}\nGlobalKnownHostsFile none\nStrictHostKeyChecking yes\n"
    )
    monkeypatch.setenv("SSH_CONFIG", str(folder / "config"))
    monkeypatch.setattr(reach_file, "is_here", lambda address: False)
    assert SSHD is not None
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd")], stderr=log)
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield known
    server.terminate()
    server.wait()


def test_nodes_are_reached_by_ssh_and_nothing_stays_there(known_hosts) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    nodes = tuple(
        ProbedNode(index=index, zone="north", node_group=0, node=index, address=f"127.0.0.{index + 1}")
        for index in range(2)
    )
    request = ProbeRequest(nodes=nodes, port=port, window_seconds=0.2)
    found = preflight(request, {})
    assert found.is_ready, found.findings
    assert all(facts is not None and facts.python_path == sys.executable for facts in found.facts)
    assert all(path.is_open and path.rates for path in found.paths)
    with socket.create_server(("127.0.0.1", port)):
        pass  # the program that listened there has ended
    known_hosts.write_text(known_hosts.read_text().splitlines(keepends=True)[0])
    found = preflight(request, {})
    (finding,) = found.findings
    assert (finding.code, finding.where) == ("not_reachable", "127.0.0.2")
    assert "Host key verification failed" in finding.message
