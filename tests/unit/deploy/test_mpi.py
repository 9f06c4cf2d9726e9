"""What mpirun is told, and what each rank makes of the place that it got."""

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from crosszone.core.bundle import HOROVODRUN
from crosszone.deploy.backends import mpi
from crosszone.errors import InfeasiblePlan, SpecError

RUN_PATH = "run_training.sh"


def programs(text: str) -> list[list[str]]:
    """The words of each program of mpirun's command line; the first with mpirun's own options."""
    start = text.index('mpirun "$@"')
    words = shlex.split(text[start : text.index(" 2>&1 |")].replace("\\\n", " "))
    found: list[list[str]] = [[]]
    for word in words:
        if word == ":":
            found.append([])
        else:
            found[-1].append(word)
    return found


def test_each_run_of_ranks_is_a_program_in_the_order_of_ranks(job, deployed) -> None:
    bundle = deployed(job, backend="mpi")
    first, second = programs(bundle.text(RUN_PATH))
    assert first[-7:] == ["--host", "10.0.0.1:2", "-np", "2", "${passed[@]}", "bash", "launch/zone-0/agent-0.sh"]
    assert second == ["--host", "10.1.0.1:1", "-np", "1", "${passed[@]}", "bash", "launch/zone-1/agent-1.sh"]
    assert first[first.index("--hostfile") + 1] == "hostfile"
    assert bundle.text("hostfile") == "10.0.0.1 slots=2\n10.1.0.1 slots=1\n"
    assert first[first.index("--bind-to") + 1] == "none"  # a rank has threads


def test_a_node_whose_ranks_do_not_follow_each_other_has_all_its_slots_in_each(job, deployed) -> None:
    first, second = deployed(job, backend="mpi").launch.agents
    split = (
        replace(first, gpus=(0,), has_whole_node=False),
        replace(second, first_rank=1),
        replace(first, index=2, gpus=(1,), has_whole_node=False, first_rank=2),
    )
    files = mpi.render(replace(deployed(job, backend="mpi").launch, agents=split))
    found = programs(files[RUN_PATH])
    assert [words[words.index("--host") + 1] for words in found] == ["10.0.0.1:2", "10.1.0.1:1", "10.0.0.1:2"]
    assert [words[words.index("-np") + 1] for words in found] == ["1", "1", "1"]
    assert "CUDA_VISIBLE_DEVICES=1" in files["launch/zone-0/agent-2.sh"]


def test_interfaces_are_told_where_all_nodes_call_them_the_same(job, deployed) -> None:
    nodes = [zone["nodes"][0] for zone in job["cluster"]["zones"]]
    nodes[0]["interface"] = "ib0"
    assert "oob_tcp_if_include" not in deployed(job, backend="mpi").text(RUN_PATH)
    nodes[1]["interface"] = "ib0"
    text = deployed(job, backend="mpi").text(RUN_PATH)
    assert "--mca oob_tcp_if_include ib0 --mca btl_tcp_if_include ib0" in text


def test_one_node_needs_no_address(job, deployed) -> None:
    job["cluster"] = {"zones": [job["cluster"]["zones"][0]]}
    del job["cluster"]["zones"][0]["nodes"][0]["addresses"]
    job["plan"]["dp"] = 2
    text = deployed(job, backend="mpi").text(RUN_PATH)
    assert "--host localhost:2 -np 2" in text
    assert "--hostfile" not in text


def test_several_nodes_need_addresses(job, deployed) -> None:
    del job["cluster"]["zones"][1]["nodes"][0]["addresses"]
    with pytest.raises(SpecError) as caught:
        deployed(job, backend="mpi")
    assert [finding.where for finding in caught.value.findings] == ["cluster.zones[1].nodes[0].addresses"]


def test_addresses_with_colons_are_no_hosts_of_mpirun(job, deployed) -> None:
    job["cluster"]["zones"][1]["nodes"][0]["addresses"] = ["fd00::2"]
    with pytest.raises(SpecError) as caught:
        deployed(job, backend="mpi")
    assert [finding.where for finding in caught.value.findings] == ["cluster.zones[1].nodes[0].addresses[0]"]


def test_pieces_of_zones_are_refused(job, deployed) -> None:
    with pytest.raises(InfeasiblePlan) as caught:
        deployed(job, backend="mpi", zone="zone1")
    assert caught.value.findings[0].where == "--zone"


def test_horovod_is_asked_whether_it_knows_mpi(job, deployed) -> None:
    launch = deployed(job, backend="mpi").launch
    assert HOROVODRUN in mpi.LAUNCHERS
    assert "HOROVOD_CONTROLLER=mpi" in mpi.render(replace(launch, launcher=HOROVODRUN))["launch/zone-0/agent-0.sh"]
    assert "HOROVOD" not in mpi.render(launch)["launch/zone-0/agent-0.sh"]


@pytest.fixture
def start(job, written, tmp_path):
    """Runs the program of an agent as mpirun would, with a stand-in for Python that prints its variables."""
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["interface"] = "eth7"
    folder: Path = written(job, backend="mpi")
    python = tmp_path / "python"
    names = "RANK LOCAL_RANK WORLD_SIZE LOCAL_WORLD_SIZE GROUP_RANK MASTER_ADDR MASTER_PORT GLOO_SOCKET_IFNAME"
    shown = " ".join(f"${name}" for name in names.split())
    python.write_text(f'#!/usr/bin/env bash\necho "{shown} $PWD $*"\nexit "${{CODE:-0}}"\n')
    python.chmod(0o755)

    def run(path: str, rank: int, size: int = 3, **more: str) -> subprocess.CompletedProcess[str]:
        variables = {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(size), "PYTHON": str(python)}
        around = {**os.environ, **variables, **more}
        return subprocess.run([str(folder / path)], env=around, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_a_rank_has_the_variables_that_torchrun_would_set(start, tmp_path) -> None:
    tail = f"10.0.0.1 29500 eth7 {tmp_path}/bundle -m crosszone.runtime.train configs/train.json\n"
    assert start("launch/zone-0/agent-0.sh", 1).stdout == f"1 1 3 2 0 {tail}"
    assert start("launch/zone-1/agent-1.sh", 2).stdout == f"2 0 3 1 1 {tail}"
    assert start("launch/zone-1/agent-1.sh", 2, CODE="7").returncode == 7


def test_ranks_that_share_a_node_share_its_cores(job, deployed) -> None:
    bundle = deployed(job, backend="mpi")
    threads = 'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"'
    assert threads in bundle.text("launch/zone-0/agent-0.sh")
    assert threads not in bundle.text("launch/zone-1/agent-1.sh")


@pytest.mark.parametrize(
    ("path", "rank", "size"), [("zone-0/agent-0", 2, 3), ("zone-1/agent-1", 1, 3), ("zone-0/agent-0", 0, 1)]
)
def test_a_rank_in_the_wrong_place_does_not_start(start, path, rank, size) -> None:
    done = start(f"launch/{path}.sh", rank, size)
    assert done.returncode == 4
    assert f"mpirun put rank {rank} of {size} where ranks" in done.stderr
    assert not done.stdout
