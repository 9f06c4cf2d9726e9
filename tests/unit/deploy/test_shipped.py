"""Files under names that people know: they run, and they offer what our own modules do."""

import ast
import json
import os
import runpy
import socket
import subprocess
import sys

import pytest

from crosszone.runtime import setup_cluster

SEEDED = ("scripts/setup_cluster.py", "utils/distributed_utils.py", "utils/communication.py")


def test_every_bundle_of_our_trainer_has_them(job, deployed) -> None:
    for framework in ("ddp", "fsdp"):
        plan = {"shard": "parameters", "dp_shard": 3} if framework == "fsdp" else {}
        bundle = deployed({**job, "plan": {**job["plan"], **plan}}, framework=framework)
        paths = {file.path for file in bundle.files}
        assert {*SEEDED, "scripts/distributed_train.py", "src/crosszone/runtime/train.py"} <= paths
        assert ("configs/fsdp_config.py" in paths) == (framework == "fsdp")


def test_a_program_of_ones_own_gets_helpers_and_no_trainer(job, deployed, tmp_path) -> None:
    entry = tmp_path / "mine.py"
    entry.write_text("print('mine')\n")
    paths = {file.path for file in deployed(job, entry=str(entry)).files}
    assert {*SEEDED, "src/crosszone/runtime/identity.py"} <= paths
    assert not {"scripts/distributed_train.py", "src/crosszone/runtime/train.py"} & paths


def test_helpers_import_from_the_bundle_alone(job, written) -> None:
    pytest.importorskip("torch")
    code = "import sys; sys.path[:0] = ['src', '.']; import utils.communication, utils.distributed_utils as of; "
    code += "import crosszone; print(crosszone.__file__, of.__all__)"
    folder = written(job)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    assert str(folder) in done.stdout
    assert "joined" in done.stdout


def test_the_fsdp_configuration_has_the_plans_numbers(job, deployed) -> None:
    job["plan"] |= {"shard": "gradients", "dp_shard": 3}
    job["workload"]["precision"] = "bf16"
    text = deployed(job, framework="fsdp").text("configs/fsdp_config.py")
    numbers = {
        node.targets[0].id: ast.unparse(node.value) for node in ast.parse(text).body if isinstance(node, ast.Assign)
    }
    assert numbers == {
        "DP_SHARD": "3",
        "DP_REPLICATE": "1",
        "RESHARD_AFTER_FORWARD": "False",
        "COMPUTE_DTYPE": "torch.bfloat16",
        "REDUCE_DTYPE": "torch.float32",
        "OFFLOADS": "False",
    }


class TestSetupCluster:
    @staticmethod
    def run(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "scripts/setup_cluster.py", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)

    def test_it_writes_what_a_shell_reads(self, job, written) -> None:
        folder = written(job)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        given = ["--master_addr", "127.0.0.1", "--master_port", str(port), "--world_size", "3", "--node_rank", "0"]
        done = self.run(folder, *given)
        assert done.returncode == 0, done.stderr
        shown = subprocess.run(
            ["bash", "-c", "source cluster.env && env"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout
        assert f"MASTER_PORT={port}\n" in shown
        assert "WORLD_SIZE=3\n" in shown

    def test_everything_that_keeps_ranks_apart_is_told_at_once(self, job, written) -> None:
        given = ["--master_addr", "nowhere.invalid", "--master_port", "0", "--world_size", "2", "--node_rank", "2"]
        done = self.run(written(job), *given)
        assert done.returncode == 2, "options are wrong, whatever else is"
        places = [line.split(": ")[:2] for line in done.stderr.splitlines()]
        assert places == [["error", "--master_port"], ["error", "--node_rank"], ["error", "--master_addr"]]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--world_size", "-3"), "--world_size: -3 processes cannot train. Count the processes of all nodes"),
            (("--world_size", "0"), "--world_size: 0 processes cannot train."),
            (("--world_size", "many"), '--world_size: "many" is no whole number.'),
            (("--node_rank", "-1"), "--node_rank: -1 is below 0."),
            (("--master_port", "65536"), "--master_port: 65536 is no port. Take one from 1 to 65535."),
            (("--output", "."), "--output: . is a folder. Name a file in it."),
            (("--output", "no/such/cluster.env"), "--output: there is no folder no/such."),
            (("--output", "/proc/cluster.env"), "--output: "),  # even where all may be written, not this
        ],
    )
    def test_what_cannot_be_is_a_wrong_word(self, capsys, words, said) -> None:
        given = ("--master_addr", "127.0.0.1", "--world_size", "2", "--node_rank", "1", "--output", "/dev/null")
        assert setup_cluster.main([*given, *words]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {said}")

    def test_a_name_that_does_not_resolve_is_no_wrong_word(self, capsys) -> None:
        given = ("--master_addr", "nowhere.invalid", "--world_size", "2", "--node_rank", "1", "--output", "/dev/null")
        assert setup_cluster.main(given) == 4
        assert "nowhere.invalid does not resolve" in capsys.readouterr().err

    def test_a_port_that_is_taken_is_named(self, job, written) -> None:
        folder = written(job)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            given = ["--master_addr", "127.0.0.1", "--master_port", port, "--world_size", "2"]
            assert self.run(folder, *given, "--node_rank", "0").returncode == 4
            assert self.run(folder, *given, "--node_rank", "1").returncode == 0


@pytest.mark.slow
def test_the_shipped_trainer_takes_other_numbers(job, written) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    job["cluster"]["zones"], job["cluster"]["links"] = job["cluster"]["zones"][:1], []
    job["cluster"]["zones"][0]["nodes"][0]["gpus_per_node"] = 1
    job["plan"]["dp"] = 1
    folder = written(job, backend="local", device="cpu")
    command = ["scripts/distributed_train.py", "--num_steps", "2", "--gradient_accumulation_steps", "1"]
    around = {key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE")}
    subprocess.run([sys.executable, *command], cwd=folder, env=around, check=True, timeout=120, capture_output=True)
    events = [json.loads(line) for line in (folder / "logs/distributed_train/rank-0.jsonl").read_text().splitlines()]
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == [1, 2]
    assert steps[-1]["consumed_tokens"] == 2 * 2 * 32
    assert not (folder / "logs/rank-0.jsonl").exists(), "that is the bundle's own training"


def test_scripts_say_what_they_are(job, written, capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["setup_cluster.py", "--help"])
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script puts the bundle's sources first, and they are gone after
    with pytest.raises(SystemExit):
        runpy.run_path(str(written(job) / "scripts/setup_cluster.py"), run_name="__main__")
    assert "--master_addr" in capsys.readouterr().out
