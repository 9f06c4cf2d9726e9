"""Bundles that are started: who gets which words, on which node; and that no word of a person is ever run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosszone.deploy.checked_text import command
from crosszone.errors import SpecError

STUB = """#!{python}
import json, os, sys
from pathlib import Path
if sys.argv[2:3] == ["crosszone.checkpoints"]:
    sys.exit(0)  # what is looked at before ranks start
names = ("CUDA_VISIBLE_DEVICES", "NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "NCCL_IB_DISABLE", "NCCL_SOCKET_NTHREADS",
    "NCCL_NSOCKS_PERTHREAD", "PYTHONPATH")
found = {{name: os.environ[name] for name in names if name in os.environ}}
record = {{"argv": sys.argv[1:], "environment": found, "folder": os.getcwd()}}
with Path({record!r}).open("a") as file:
    file.write(json.dumps(record) + "\\n")
sys.exit(int(os.environ.get("STUB_CODE", "0")))
"""


class Recorder:
    """A program in the place of Python that notes how it was called."""

    def __init__(self, folder: Path) -> None:
        self.record = folder / "record.jsonl"
        self.program = folder / "python"
        self.program.write_text(STUB.format(python=sys.executable, record=str(self.record)))
        self.program.chmod(0o755)

    def run(self, program: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        around = {**os.environ, "PYTHON": str(self.program), **environment}
        return subprocess.run([str(program)], env=around, capture_output=True, text=True, timeout=60, check=False)

    def calls(self) -> list[dict]:
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []


@pytest.fixture
def recorder(tmp_path) -> Recorder:
    return Recorder(tmp_path)


def options(call: dict) -> dict[str, str]:
    return dict(word[2:].split("=", 1) for word in call["argv"] if word.startswith("--") and "=" in word)


def test_each_node_starts_its_ranks(job, written, recorder) -> None:
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["interface"] = "eth7"
    folder = written(job)
    for path in ("launch/zone-0/agent-0.sh", "launch/zone-1/agent-1.sh"):
        assert recorder.run(folder / path).returncode == 0
    first, second = recorder.calls()
    assert [options(call)["nproc-per-node"] for call in (first, second)] == ["2", "1"]
    assert [options(call)["node-rank"] for call in (first, second)] == ["0", "1"]
    assert {options(call)["nnodes"] for call in (first, second)} == {"2"}
    assert {options(call)["master-addr"] for call in (first, second)} == {"10.0.0.1"}
    assert first["argv"][:2] == ["-m", "torch.distributed.run"]
    assert first["argv"][-3:] == ["-m", "crosszone.runtime.train", "configs/train.json"]
    assert first["folder"] == str(folder)
    assert first["environment"]["NCCL_SOCKET_IFNAME"] == "=eth7"
    assert first["environment"]["GLOO_SOCKET_IFNAME"] == "eth7"
    assert first["environment"]["PYTHONPATH"].split(":")[0] == f"{folder}/src"


@pytest.mark.skipif(shutil.which("ip") is None, reason="the route is read with ip, of iproute2")
@pytest.mark.parametrize(
    ("backend", "path"),
    [
        ("bare", "launch/zone-0/agent-0.sh"),
        ("ssh", "launch/zone-1/agent-1.sh"),
        ("slurm", "launch/zone-0/agent-0.sh"),
        ("kubernetes", "launch/zone-1/agent-1.sh"),
        ("mpi", "run_training.sh"),
    ],
)
def test_what_no_restart_mends_is_told_once_and_nothing_starts(job, written, tmp_path, backend, path) -> None:
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["interface"] = "lo"
    folder = written(job, "ddp", backend, data="/claims/absent/tokens.bin")
    (tmp_path / "mpirun").write_text("#!/bin/sh\necho ranks start\n")
    (tmp_path / "mpirun").chmod(0o755)
    (tmp_path / "torch.py").write_text("print('ranks start')")
    around = {"PYTHON": sys.executable, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([str(folder / path)], env=around, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: /claims/absent/tokens.bin: cannot read the token file: No such file")
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_the_interface_is_that_of_the_route_to_the_peer(job, written, recorder) -> None:
    for zone, address in zip(job["cluster"]["zones"], ("127.0.0.1", "127.0.0.2"), strict=True):
        zone["nodes"][0]["addresses"] = [address]
    folder = written(job)
    done = recorder.run(folder / "launch/zone-1/agent-1.sh")
    assert done.returncode == 0, done.stderr
    assert recorder.calls()[0]["environment"]["GLOO_SOCKET_IFNAME"] == "lo"
    assert recorder.calls()[0]["environment"]["NCCL_SOCKET_IFNAME"] == "=lo"


def test_the_route_that_counts_is_the_one_to_another_zone(job, deployed) -> None:
    """A node may reach its neighbours by a device that leads nowhere else, as InfiniBand's."""
    job["cluster"]["zones"][0]["nodes"][0] |= {"count": 2, "gpus_per_node": 1, "addresses": ["10.0.0.1", "10.0.0.2"]}
    bundle = deployed(job)
    texts = [bundle.text(f"launch/zone-{zone}/agent-{index}.sh") for index, zone in enumerate((0, 0, 1))]
    peers = [line for text in texts for line in text.splitlines() if line.startswith("peer=")]
    assert peers == ["peer=10.1.0.1", "peer=10.1.0.1", "peer=10.0.0.1"]


def test_a_peer_that_cannot_be_resolved_is_named(job, written, recorder) -> None:
    job["cluster"]["zones"][1]["nodes"][0]["addresses"] = ["nowhere.invalid"]
    done = recorder.run(written(job) / "launch/zone-0/agent-0.sh")
    assert done.returncode == 4
    assert "cannot resolve nowhere.invalid" in done.stderr
    assert not recorder.calls()


def test_idle_gpus_of_a_node_are_hidden(job, written, recorder) -> None:
    job["cluster"]["zones"] = [job["cluster"]["zones"][0]]
    del job["cluster"]["links"]
    job["plan"] = {"dp": 1, "microbatch_size": 2, "idle_gpus": [{"zone": "zone0", "node_group": 0, "num_gpus": 1}]}
    recorder.run(written(job, backend="local") / "run_training.sh")
    assert recorder.calls()[0]["environment"]["CUDA_VISIBLE_DEVICES"] == "0"
    assert "--standalone" in recorder.calls()[0]["argv"]


@pytest.mark.parametrize(("streams", "threads", "sockets"), [(3, "3", "1"), (16, "4", "4"), (500, "4", "16")])
def test_streams_become_sockets_within_nccls_limits(job, written, recorder, streams, threads, sockets) -> None:
    job["cluster"]["links"][0]["streams"] = streams
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["interface"] = "eth0"
    recorder.run(written(job) / "launch/zone-0/agent-0.sh")
    environment = recorder.calls()[0]["environment"]
    assert (environment["NCCL_SOCKET_NTHREADS"], environment["NCCL_NSOCKS_PERTHREAD"]) == (threads, sockets)
    assert environment["NCCL_IB_DISABLE"] == "1"


HOSTILE = (
    "$(touch canary)",
    "`touch canary`",
    "'; touch canary; '",
    '"; touch canary; "',
    "a\ntouch canary\n",
    "--rdzv-id=$(touch canary)",
    "-m",
    "",
    "\\'\"$'\\x41'",
    "北京 ${IFS}; touch canary &",
    "\r\n\t*?[a-z]~!{1,2}",
    "#",
)


@pytest.mark.parametrize("backend", ["local", "bare", "ssh"])
def test_arguments_reach_the_program_as_they_are(job, written, recorder, tmp_path, backend) -> None:
    entry = tmp_path / "my train;touch canary.py"
    entry.write_text("print('mine')\n")
    job["cluster"]["zones"] = [job["cluster"]["zones"][0]]
    job["cluster"]["zones"][0]["name"] = HOSTILE[0]
    del job["cluster"]["links"]
    job["plan"]["dp"] = 2
    folder = written(job, backend=backend, entry=str(entry), arguments=HOSTILE)
    recorder.run(folder / ("run_training.sh" if backend == "local" else "launch/zone-0/agent-0.sh"))
    argv = recorder.calls()[0]["argv"]
    assert argv[argv.index("entry.py") + 1 :] == list(HOSTILE)
    assert (folder / "entry.py").read_text() == "print('mine')\n"
    assert not list(tmp_path.rglob("canary"))


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=30)
PIECES = st.lists(st.one_of(TEXTS, st.sampled_from(HOSTILE)), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES, min_size=5, max_size=20))
def test_no_word_is_ever_run(tmp_path, lists) -> None:
    folder = tmp_path / "empty"
    folder.mkdir(exist_ok=True)
    words = [word for pieces in lists for word in ("".join(pieces), *pieces)]
    program = 'printf "%s\\0" ' + command(words)
    done = subprocess.run(["bash", "-c", program], cwd=folder, capture_output=True, check=True, timeout=30)
    assert done.stdout.decode().split("\0")[:-1] == words
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("addresses", "-oProxyCommand=touch canary"),
        ("addresses", "host;touch canary"),
        ("addresses", "a b"),
        ("addresses", "host\n"),
        ("interface", "eth0;touch canary"),
        ("interface", "--help"),
        ("interface", "averyverylongdevicename"),
        ("image", "python\nRUN touch canary"),
        ("image", "-x"),
    ],
)
def test_what_cannot_be_quoted_everywhere_is_refused_by_name(job, deployed, key, value) -> None:
    job["cluster"]["zones"][1]["nodes"][0][key] = [value] if key == "addresses" else value
    with pytest.raises(SpecError) as caught:
        deployed(job)
    place = f"cluster.zones[1].nodes[0].{key}" + ("[0]" if key == "addresses" else "")
    assert [finding.where for finding in caught.value.findings] == [place]


def test_what_holds_for_a_node_group_is_refused_once(job, deployed) -> None:
    group = job["cluster"]["zones"][0]["nodes"][0]
    group |= {
        "count": 3,
        "gpus_per_node": 1,
        "addresses": ["10.0.0.1", "a b", "10.0.0.3"],
        "interface": "eth0123456789012",
    }
    job["plan"]["dp"] = 4
    with pytest.raises(SpecError) as caught:
        deployed(job)
    places = ["cluster.zones[0].nodes[0].addresses[1]", "cluster.zones[0].nodes[0].interface"]
    assert [finding.where for finding in caught.value.findings] == places
    assert "at most 15" in caught.value.findings[1].message


@pytest.mark.parametrize("name", HOSTILE[:5] + HOSTILE[9:])
def test_names_of_zones_are_in_no_path_and_no_program(job, deployed, name) -> None:
    job["cluster"]["zones"][0]["name"] = name
    job["cluster"]["links"][0]["between"] = [name, "zone1"]
    try:
        bundle = deployed(job, backend="ssh")
    except SpecError:
        return  # the reader of the job file refuses such a name
    assert not [file.path for file in bundle.files if "canary" in file.path]
    assert not [file.path for file in bundle.files if file.path.endswith(".sh") and "canary" in file.text]
    assert json.loads(bundle.text("metadata.json"))["problem"]["cluster"]["zones"][0]["name"] == name


SSH = """#!{python}
import os, subprocess, sys
words = sys.argv[1:]
host, order = words[words.index("--") + 1 :]
home = os.path.join({homes!r}, host)
if os.path.exists(home + ".gone"):
    sys.exit(255)
os.makedirs(home, exist_ok=True)
sys.exit(subprocess.run(["bash", "-c", order], cwd=home, env={{**os.environ, "HOME": home}}).returncode)
"""


@pytest.fixture
def ssh(tmp_path) -> Path:
    """A folder with an `ssh` that runs what it is told in a folder per node."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(SSH.format(python=sys.executable, homes=str(tmp_path / "homes")))
    (programs / "ssh").chmod(0o755)
    return programs


def by_ssh(job, written, ssh, recorder, **environment: str):
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["interface"] = "eth0"
    folder = written(job, backend="ssh")
    path = f"{ssh}:{os.environ['PATH']}"
    return folder, recorder.run(folder / "run_training.sh", PATH=path, FOLLOW_SECONDS="0.2", **environment)


def test_ssh_copies_starts_and_follows_every_node(job, written, ssh, recorder, tmp_path) -> None:
    _, done = by_ssh(job, written, ssh, recorder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all ended well"
    assert sorted(path.name for path in (tmp_path / "homes").iterdir()) == ["10.0.0.1", "10.1.0.1"]
    assert sorted(options(call)["node-rank"] for call in recorder.calls()) == ["0", "1"]
    assert {Path(call["folder"]).parent.name for call in recorder.calls()} == {"10.0.0.1", "10.1.0.1"}
    assert len(list((tmp_path / "homes").rglob("configs/train.json"))) == 2


def test_ssh_copies_nothing_under_ranks_that_run_nor_to_some_nodes_only(job, written, ssh, recorder, tmp_path) -> None:
    folder, _ = by_ssh(job, written, ssh, recorder)
    (copy,) = (tmp_path / "homes/10.0.0.1").glob("crosszone-*")
    (copy / "README.md").write_text("as it was")
    path = f"{ssh}:{os.environ['PATH']}"
    with subprocess.Popen(["sleep", "60"], env={**os.environ, "CROSSZONE_AGENT": f"{copy}/agent-0"}) as rank:
        (tmp_path / "homes" / "10.1.0.1.gone").touch()
        done = recorder.run(folder / "run_training.sh", PATH=path)
        rank.kill()
    assert done.returncode == 4
    assert "agent-0 on 10.0.0.1 runs already" in done.stderr
    assert "cannot reach 10.1.0.1" in done.stderr
    assert (copy / "README.md").read_text() == "as it was"


def test_two_bundles_share_no_folder_of_a_node(job, deployed) -> None:
    def folder_of(num_steps: int) -> str:
        text = deployed(job, backend="ssh", num_steps=num_steps).text("launch/nodes.sh")
        return next(line for line in text.splitlines() if line.startswith("folder="))

    assert folder_of(10) == folder_of(10) != folder_of(20)


def test_ssh_shows_the_last_lines_of_a_failing_node_and_exits_non_zero(job, written, ssh, recorder) -> None:
    _, done = by_ssh(job, written, ssh, recorder, STUB_CODE="7")
    assert done.returncode == 1
    assert "agent-0 on 10.0.0.1 ended with 7" in done.stderr


def test_a_node_that_cannot_be_seen_is_not_taken_for_dead(job, written, ssh, recorder, tmp_path) -> None:
    folder, _ = by_ssh(job, written, ssh, recorder)
    (tmp_path / "homes" / "10.1.0.1.gone").touch()
    path = f"{ssh}:{os.environ['PATH']}"
    follow = ["timeout", "2", str(folder / "run_training.sh"), "--follow"]
    around = {**os.environ, "PATH": path, "FOLLOW_SECONDS": "0.2"}
    done = subprocess.run(follow, env=around, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 124  # it goes on looking
    assert "cannot see 10.1.0.1; its ranks may run on" in done.stderr


def test_a_bundle_has_all_that_its_trainer_imports(job, written) -> None:
    pytest.importorskip("torch")
    folder = written(job, backend="local", device="cpu")
    program = "import sys, crosszone; from crosszone.runtime import train; print(crosszone.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": f"{folder}/src"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{folder}/src/crosszone/__init__.py"


def test_relative_paths_are_refused_where_nodes_start_elsewhere(job, deployed) -> None:
    with pytest.raises(SpecError) as caught:
        deployed(job, data="tokens.bin", checkpoints="ckpt")
    assert [finding.where for finding in caught.value.findings] == ["--data", "--checkpoints"]
    config = json.loads(deployed(job, backend="local", device="cpu", data="tokens.bin").text("configs/train.json"))
    assert config["data"]["path"] == str(Path("tokens.bin").absolute())
