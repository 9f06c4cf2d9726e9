"""What a Slurm bundle asks for, and what its programs do on a node, without a Slurm: stand-ins answer for it."""

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from crosszone.deploy.backends import slurm
from crosszone.errors import SpecError

SPREAD = [{"scheduler": "slurm partition=north"}, {"scheduler": "slurm partition=south account=lab time=1-00:00:00"}]


def without_addresses(job, schedulers=SPREAD):
    for zone, more in zip(job["cluster"]["zones"], schedulers, strict=True):
        del zone["nodes"][0]["addresses"]
        zone.update(more)
    return job


def asked(bundle) -> list[list[str]]:
    """The options of each component of the job."""
    found: list[list[str]] = [[]]
    for line in bundle.text(slurm.JOB_PATH).splitlines():
        if line == "#SBATCH hetjob":
            found.append([])
        elif line.startswith("#SBATCH --nodes"):
            found[-1] += line.split()[1:]
    return found


def options(text: str) -> dict[str, str]:
    line = next(line for line in text.splitlines() if line.startswith("exec "))
    return dict(word[2:].split("=", 1) for word in line.split() if word.startswith("--") and "=" in word)


def test_each_node_group_is_a_component_in_the_order_of_ranks(job, deployed) -> None:
    bundle = deployed(job, backend="slurm")
    whole = ["--ntasks-per-node=1", "--exclusive", "--mem=0"]
    assert asked(bundle) == [["--nodes=1", *whole, "--gpus-per-node=2"], ["--nodes=1", *whole, "--gpus-per-node=1"]]
    assert "--het-group=0-1 " in bundle.text(slurm.JOB_PATH)
    assert '"$@" --nodelist="$names_0" : "$@" --nodelist="$names_1"' in bundle.text("run_training.sh")


def test_one_group_is_an_ordinary_job_whose_nodes_slurm_chooses(job, deployed) -> None:
    job["cluster"] = {"zones": [job["cluster"]["zones"][0]]}
    job["cluster"]["zones"][0]["nodes"][0] |= {"count": 3}
    del job["cluster"]["zones"][0]["nodes"][0]["addresses"]
    job["plan"]["dp"] = 6
    bundle = deployed(job, backend="slurm")
    assert [words[0] for words in asked(bundle)] == ["--nodes=3"]
    assert "hetjob" not in bundle.text(slurm.JOB_PATH)
    assert "het-group" not in bundle.text(slurm.JOB_PATH)
    assert "--nodelist" not in bundle.text("run_training.sh")
    assert 'scontrol show hostnames "$SLURM_JOB_NODELIST"' in bundle.text(slurm.NODES_PATH)
    assert "master-addr" not in options(bundle.text("launch/zone-0/agent-2.sh"))  # PET_MASTER_ADDR, of the job


def test_cpus_ask_for_no_gpus(job, deployed) -> None:
    bundle = deployed(job, backend="slurm", device="cpu")
    assert "gpu" not in bundle.text(slurm.JOB_PATH)
    assert 'chosen_gpus "${gpus_of' not in bundle.text(slurm.NODE_PATH)


def test_a_zone_says_in_its_scheduler_how_its_nodes_are_had(job, deployed) -> None:
    bundle = deployed(without_addresses(job), backend="slurm")
    north, south = asked(bundle)
    assert north[-1] == "--partition=north"
    assert south[-3:] == ["--partition=south", "--account=lab", "--time=1-00:00:00"]
    names = bundle.text(slurm.NODES_PATH)
    assert '"$SLURM_JOB_NODELIST_HET_GROUP_0" && scontrol show hostnames "$SLURM_JOB_NODELIST_HET_GROUP_1"' in names


def test_node_groups_are_named_in_the_order_of_the_job_file(job, deployed) -> None:
    without_addresses(job, [{}, {}])
    job["model"]["num_layers"] = 6
    stages = [{"num_layers": 2, "zone": name} for name in ("zone1", "zone0", "zone0")]
    job["plan"] = {"pp": 3, "dp": 1, "microbatch_size": 2, "stages": stages}
    with pytest.raises(SpecError) as caught:
        deployed(job, "deepspeed", "slurm")
    assert [each.where for each in caught.value.findings] == [
        f"cluster.zones[{index}].nodes[0].addresses" for index in (0, 1)
    ]


@pytest.mark.parametrize(
    "schedulers",
    [
        [{}, {}],
        [{"scheduler": "slurm partition=gpu"}, {"scheduler": "slurm partition=gpu"}],
        [{"scheduler": "slurm account=a"}, {"scheduler": "slurm account=b"}],
    ],
)
def test_groups_that_slurm_cannot_tell_apart_need_addresses(job, deployed, schedulers) -> None:
    with pytest.raises(SpecError) as caught:
        deployed(without_addresses(job, schedulers), backend="slurm")
    assert caught.value.exit_code == 2
    assert [finding.where for finding in caught.value.findings] == [
        f"cluster.zones[{index}].nodes[0].addresses" for index in (0, 1)
    ]


@pytest.mark.parametrize(
    "scheduler",
    [
        "pbs",
        "slurm --wrap=true",
        "slurm wrap=true",
        "slurm partition=$(touch canary)",
        "slurm partition=a;b",
        "slurm partition=-x",
        "slurm partition=a #",
        "slurm partition='a b'",
        "slurm  partition=a",
        "Slurm",
    ],
)
def test_other_schedulers_are_refused_by_name(job, deployed, scheduler) -> None:
    job["cluster"]["zones"][1]["scheduler"] = scheduler
    with pytest.raises(SpecError) as caught:
        deployed(job, backend="slurm")
    assert [finding.where for finding in caught.value.findings] == ["cluster.zones[1].scheduler"]


def test_the_trainer_is_told_to_save_before_the_time_is_up(job, deployed, tmp_path) -> None:
    seconds = deployed(job, backend="slurm").launch.timeouts.collective_seconds
    text = deployed(job, backend="slurm", checkpoints="/shared/run").text(slurm.JOB_PATH)
    told = int(re.findall(r"--signal=TERM@(\d+)", text)[0])
    assert told >= seconds + 60  # Slurm's own inaccuracy
    environment = deployed(job, backend="slurm").text("environment.sh")
    assert f"TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-{seconds:.0f}}}" in environment
    entry = tmp_path / "mine.py"
    entry.write_text("")
    options = {"entry": str(entry), "checkpoints": "/shared/run"}
    assert "--signal" not in deployed(job, backend="slurm", **options).text(slurm.JOB_PATH)


class TestPieces:
    """Where each zone has a Slurm of its own."""

    def test_each_zone_starts_its_own_node_ranks_of_one_job(self, job, deployed) -> None:
        for index, paths in enumerate((["launch/zone-0/agent-0.sh"], ["launch/zone-1/agent-1.sh"])):
            bundle = deployed(job, backend="slurm", zone=f"zone{index}")
            assert [file.path for file in bundle.files if file.path.startswith("launch/zone")] == paths
            assert len(asked(bundle)) == 1
            found = options(bundle.text(paths[0]))
            assert (found["nnodes"], found["node-rank"], found["master-addr"]) == ("2", str(index), "10.0.0.1")

    def test_they_wait_for_each_others_queues(self, job, deployed) -> None:
        bundle = deployed(job, backend="slurm", zone="zone1")
        assert options(bundle.text("launch/zone-1/agent-1.sh"))["rdzv-conf"] == "timeout=86400"
        assert "until all ranks have met: 24 h" in bundle.text("README.md")
        assert options(deployed(job, backend="slurm").text("launch/zone-1/agent-1.sh"))["rdzv-conf"] == "timeout=900"

    def test_the_node_of_rank_0_must_be_known(self, job, deployed) -> None:
        for zone in ("zone0", "zone1"):
            with pytest.raises(SpecError) as caught:
                deployed(without_addresses(json.loads(json.dumps(job))), backend="slurm", zone=zone)
            assert caught.value.findings[0].where == "cluster.zones[0].nodes[0].addresses"

    def test_the_others_may_be_slurms_choice(self, job, deployed) -> None:
        del job["cluster"]["zones"][1]["nodes"][0]["addresses"]
        assert "--nodelist" not in deployed(job, backend="slurm", zone="zone1").text("run_training.sh")
        with pytest.raises(SpecError) as caught:  # rank 0 cannot find the device that reaches them
            deployed(job, backend="slurm", zone="zone0")
        assert [finding.where for finding in caught.value.findings] == ["cluster.zones[0].nodes[0].interface"]
        job["cluster"]["zones"][0]["nodes"][0]["interface"] = "eth0"
        assert "--nodelist" in deployed(job, backend="slurm", zone="zone0").text("run_training.sh")


STAND_INS = {
    "sinfo": 'printf "%s\\n" "n1 h1 10.0.0.1" "n1 h1 10.0.0.1" "n2 localhost n2.lan" "n3 h3 10.3.0.3" "n4 h4 10.3.0.3"',
    "sbatch": 'printf "%s\\n" "$@" >"$RECORD"; echo "17;cluster"; exit "${SBATCH_CODE:-0}"',
    "squeue": 'if [ "${RUNS:-}" = 1 ]; then echo 17; fi',
    "scancel": 'echo "$*" >>"$RECORD"',
    "python": '[ "$2" = crosszone.checkpoints ] && exit; '  # what is looked at before ranks start
    'echo "$CUDA_VISIBLE_DEVICES $GLOO_SOCKET_IFNAME" >>"$RECORD"; sleep "${STAY:-0}"; exit "${CODE:-0}"',
}


@pytest.fixture
def programs(tmp_path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, body in STAND_INS.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def run(programs, tmp_path):
    def start(program: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        around = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "RECORD": str(tmp_path / "record"),
            "PYTHON": str(programs / "python"),
            "SLURM_JOB_ID": "17",
            **environment,
        }
        command = [str(program), *arguments]
        return subprocess.run(command, env=around, capture_output=True, text=True, timeout=60, check=False)

    return start


def recorded(tmp_path) -> list[str]:
    path = tmp_path / "record"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def folder(job, written) -> Path:
    for zone in job["cluster"]["zones"]:
        zone["nodes"][0]["interface"] = "eth7"
    path = written(job, backend="slurm")
    (path / "logs").mkdir()
    return path


def on_node(folder: Path, node: str, gpus: str, **more: str) -> dict[str, str]:
    around = {"SLURM_SUBMIT_DIR": str(folder), "CROSSZONE_NODES": "n1 n2", "SLURMD_NODENAME": node}
    return {**around, "CUDA_VISIBLE_DEVICES": gpus, **more}


class TestOnANode:
    def test_it_takes_the_gpus_that_slurm_gave(self, folder, run, tmp_path) -> None:
        assert run(folder / slurm.NODE_PATH, **on_node(folder, "n1", "5,3,6")).returncode == 0
        assert run(folder / slurm.NODE_PATH, **on_node(folder, "n2", "GPU-ab12")).returncode == 0
        assert recorded(tmp_path) == ["5,3 eth7", "GPU-ab12 eth7"]

    @pytest.mark.parametrize(("node", "gpus", "message"), [("n1", "0", "fewer than 2"), ("n9", "0,1", "n9 is none of")])
    def test_what_does_not_fit_the_plan_stops_it(self, folder, run, tmp_path, node, gpus, message) -> None:
        done = run(folder / slurm.NODE_PATH, **on_node(folder, node, gpus))
        assert done.returncode == 4
        assert message in done.stderr
        assert not recorded(tmp_path)

    @pytest.mark.parametrize(("node", "code"), [("n1", 0), ("n2", 0), ("n3", 4)])
    def test_the_device_is_that_of_the_route_to_another_zone(self, job, written, run, tmp_path, node, code) -> None:
        without_addresses(job)["cluster"]["zones"][0]["nodes"][0] |= {"count": 2, "gpus_per_node": 1}
        folder = written(job, backend="slurm")
        (folder / "logs").mkdir()
        assert 'CROSSZONE_SECOND="$(slurm_address "$(sed -n 3p' in (folder / slurm.JOB_PATH).read_text()
        places = {"CROSSZONE_NODES": "n1 n2 n3", "CROSSZONE_FIRST": "nowhere.invalid", "CROSSZONE_SECOND": "127.0.0.1"}
        done = run(folder / slurm.NODE_PATH, **on_node(folder, node, "0", **places))
        assert done.returncode == code, done.stderr
        assert recorded(tmp_path) == ([] if code else ["0 lo"])
        assert ("cannot resolve nowhere.invalid" in done.stderr) == bool(code)

    def test_a_failing_rank_shows_its_last_lines_and_its_code(self, folder, run) -> None:
        done = run(folder / slurm.NODE_PATH, **on_node(folder, "n1", "0,1", CODE="9"))
        assert done.returncode == 9
        assert "agent-0 on n1 ended with 9; its last lines:" in done.stderr
        assert (folder / "logs/ended-17").read_text() == "9 0\n"

    def test_ranks_that_do_not_follow_each_other_share_a_node(self, folder, job, deployed, run, tmp_path) -> None:
        first, second = deployed(job, backend="slurm").launch.agents
        split = (
            replace(first, gpus=(0,), has_whole_node=False),
            replace(second, first_rank=1),
            replace(first, index=2, gpus=(1,), has_whole_node=False, first_rank=2),
        )
        launch = replace(deployed(job, backend="slurm").launch, agents=split)
        for path, text in slurm.render(launch).items():
            (folder / path).write_text(text)
            (folder / path).chmod(0o755)
        assert run(folder / slurm.NODE_PATH, **on_node(folder, "n1", "4,5")).returncode == 0
        assert sorted(line.split()[0] for line in recorded(tmp_path)) == ["4", "5"]
        assert "--nodes=1 " in (folder / slurm.JOB_PATH).read_text()
        assert "node_of=(0 1 0)" in (folder / slurm.NODES_PATH).read_text()


class TestSubmitting:
    def test_nodes_go_by_the_names_that_slurm_has(self, folder, run, tmp_path) -> None:
        nodes = folder / slurm.NODES_PATH
        nodes.write_text(nodes.read_text())
        program = f'source {nodes}; slurm_names "$@"'
        script = tmp_path / "names.sh"
        script.write_text(f"#!/usr/bin/env bash\nset -euo pipefail\n{program}\n")
        script.chmod(0o755)
        assert run(script, "n2.lan", "h1", "10.0.0.1", "n3").stdout.split() == ["n2", "n1", "n1", "n3"]
        for unclear in ("10.3.0.3", "nowhere.invalid"):
            done = run(script, unclear)
            assert done.returncode == 4
            assert f"as {unclear}, not one" in done.stderr

    def test_an_address_that_slurm_writes_otherwise_is_resolved(self, folder, run, programs, tmp_path) -> None:
        (programs / "sinfo").write_text('#!/usr/bin/env bash\necho "n7 h7 localhost"\n')
        script = tmp_path / "names.sh"
        script.write_text(
            f"#!/usr/bin/env bash\nset -euo pipefail\nsource {folder / slurm.NODES_PATH}; slurm_names ::1\n"
        )
        script.chmod(0o755)
        if not run(script).stdout:  # localhost is 127.0.0.1 first
            script.write_text(script.read_text().replace("::1", "127.0.0.1"))
        assert run(script).stdout == "n7\n"

    def test_the_job_is_submitted_and_noted(self, job, written, run, tmp_path) -> None:
        job["cluster"]["zones"][1]["nodes"][0]["addresses"] = ["n3"]
        folder = written(job, backend="slurm")
        own = ["--partition=west", "--comment=a b"]
        done = run(folder / "run_training.sh", *own)
        assert done.returncode == 0, done.stderr
        parts = [*own, "--nodelist=n1", ":", *own, "--nodelist=n3"]
        assert recorded(tmp_path) == ["--parsable", *parts, "launch/slurm/job.sh"]
        assert (folder / "logs/job-id").read_text() == "17\n"
        assert run(folder / "run_training.sh", SBATCH_CODE="5").returncode == 5
        again = run(folder / "run_training.sh", RUNS="1")
        assert again.returncode == 1
        assert "job 17 waits or runs already" in again.stderr

    def test_a_node_that_slurm_does_not_know_is_named(self, folder, run, tmp_path) -> None:
        done = run(folder / "run_training.sh")
        assert done.returncode == 4
        assert "as 10.1.0.1, not one" in done.stderr
        assert not recorded(tmp_path)

    def test_stopping_asks_first(self, folder, run, tmp_path) -> None:
        assert "no job was submitted" in run(folder / "stop_training.sh").stdout
        (folder / "logs/job-id").write_text("17\n")
        assert run(folder / "stop_training.sh").returncode == 0
        assert recorded(tmp_path) == ["--state=PENDING 17", "--signal=TERM 17"]

    def test_without_slurm_it_says_where_to_go(self, folder, run, programs, tmp_path) -> None:
        (programs / "sbatch").unlink()
        bare = tmp_path / "bare"
        bare.mkdir()
        for name in ("bash", "dirname", "env"):
            (bare / name).symlink_to(f"/usr/bin/{name}")
        done = run(folder / "run_training.sh", PATH=f"{programs}:{bare}")
        assert done.returncode == 4
        assert "login node" in done.stderr


def test_only_a_piece_is_told_to_start_the_others(job, deployed) -> None:
    words = "Start the pieces of all zones, each on its own Slurm."
    assert words in deployed(job, backend="slurm", zone="zone0").text("README.md")
    assert words not in deployed(job, backend="slurm").text("README.md")
