"""`crosszone run`, `status`, `logs` and `stop`: what is printed, and their exit codes."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crosszone import service
from crosszone.cli.show_run import failure_view, progress_line
from crosszone.core.run import RunStatus

STEPS = """{"event": "start", "fingerprint": "abc", "framework": "ddp", "num_gpus": 2, "first_step": 1, "device": "cpu"}
{"event": "step", "step": 1, "step_seconds": 8.0, "tokens_per_second": 50.0, "model_flop_per_second_per_gpu": 1e9, \
"data_seconds": 0.1, "loss": 9.0, "memory": {"peak_bytes": 1e9, "capacity_bytes": null}}
{"event": "step", "step": 2, "step_seconds": 0.5, "tokens_per_second": 800.0, "model_flop_per_second_per_gpu": 1e10, \
"data_seconds": 0.1, "loss": 8.0, "memory": {"peak_bytes": 2e9, "capacity_bytes": null}}
"""
PREDICTION = {
    "num_gpus": 2,
    "step_seconds": 0.25,
    "tokens_per_second": 1600.0,
    "tokens_per_second_per_gpu": 800.0,
    "model_flop_per_second_per_gpu": 2e10,
    "intervals": [{"level": 0.9, "low_seconds": 0.2, "high_seconds": 0.7}],
    "memory": {"peak_bytes": 9e9, "stages": [{"gpu": "a100-sxm4-80gb", "allocated_bytes": 6e9}]},
    "reliability": None,
}
WRITE_STEPS = f"mkdir -p logs; cat >logs/rank-0.jsonl <<'END'\n{STEPS}END\necho its words"


@pytest.fixture
def bundle(tmp_path, monkeypatch) -> Iterator[Path]:
    """A local bundle for two ranks whose program writes two steps; write another one with `program`."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'{"version": "3", "missing": [], "num_gpus": 0, "fault": ""}\'\n')
    python.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(python))
    folder = tmp_path / "bundle"
    folder.mkdir()
    program(folder, WRITE_STEPS)
    yield folder
    service.stop_run(folder, is_forced=True)


def program(folder: Path, text: str, *, backend: str = "local") -> None:
    """Make `text` what the bundle runs."""
    files = {"run_training.sh": f'#!/usr/bin/env bash\ncd "$(dirname "$0")"\n{text}\n'}
    for path, content in files.items():
        (folder / path).write_text(content)
    (folder / "run_training.sh").chmod(0o755)
    manifest = {
        "kind": "crosszone-bundle",
        "fingerprint": "abc",
        "framework": "ddp",
        "request": {"backend": backend, "device": "cpu", "num_steps": 2},
        "prediction": PREDICTION,
        "files": {path: {"sha256": hashlib.sha256(content.encode()).hexdigest()} for path, content in files.items()},
    }
    (folder / "metadata.json").write_text(json.dumps(manifest))


def test_a_run_shows_what_it_measured_beside_what_was_predicted(run, bundle) -> None:
    result = run("run", str(bundle))
    assert result.code == 0
    assert "Started 2 ranks (" in result.err
    lines = [line.split() for line in result.out.splitlines()]
    assert ["step", "250", "ms", "500", "ms"] in lines
    assert ["nine", "in", "ten", "200", "ms", "to", "700", "ms", "500", "ms", "to", "500", "ms"] in lines
    assert ["tokens/s", "1600", "800"] in lines
    assert ["peak", "memory", "6", "GB", "2", "GB"] in lines
    assert "step 2 of 2" in result.out
    assert "The prediction is for a100-sxm4-80gb" in " ".join(result.out.split())
    assert result.err.endswith(f"Wrote {bundle}/logs/measurement.json\n")
    status = run("status", str(bundle))
    assert status.code == 0
    assert status.out == result.out


def test_json_is_one_object_on_standard_output(run, bundle) -> None:
    result = run("run", str(bundle), "--json")
    assert result.code == 0
    assert result.json["schema_version"] == 1
    assert result.json["state"] == "ended"
    assert result.json["measurement"]["step_seconds"] - result.json["predicted"]["step_seconds"] == 0.25
    assert run("status", str(bundle), "--json").json == result.json


def test_a_failure_is_told_with_its_last_lines_and_exits_with_1(run, bundle) -> None:
    program(bundle, "echo 'ValueError: the data ends' >&2; exit 3")
    result = run("run", str(bundle))
    assert result.code == 1
    assert result.out.startswith("Failed: The program that starts the ranks ended with exit code 3.")
    assert result.err.splitlines()[-1] == "  ValueError: the data ends"
    assert run("status", str(bundle)).code == 1
    assert run("run", str(bundle), "--json").json["run"]["failure"]["lines"] == ["ValueError: the data ends"]


def test_restarts_are_told_with_the_steps_that_they_lost(run, bundle) -> None:
    first, second, third = STEPS.splitlines()
    again = first.replace('"first_step": 1,', '"first_step": 2, "attempt": 1,')
    words = "\n".join((first, second, third, again, third))
    program(bundle, f"mkdir -p logs; cat >logs/rank-0.jsonl <<'END'\n{words}\nEND")
    assert run("run", str(bundle)).code == 0
    shown = run("status", str(bundle))
    assert ["restarts", "1;", "1", "step", "was", "lost", "and", "trained", "again"] in [
        line.split() for line in shown.out.splitlines()
    ]
    found = run("status", str(bundle), "--json").json
    assert (found["num_restarts"], found["num_lost_steps"]) == (1, 1)


def test_a_detached_run_is_stopped_by_its_folder(run, bundle) -> None:
    program(bundle, "sleep 600")
    started = run("run", str(bundle), "--detach")
    assert started.code == 0
    assert started.out.startswith("Running.")
    assert f"`crosszone stop {bundle}` ends it" in started.err
    again = run("run", str(bundle), "--json")
    assert again.code == 4
    assert [error["code"] for error in again.json["errors"]] == ["runs_already"]
    stopped = run("stop", str(bundle))
    assert stopped.code == 0
    assert stopped.out.startswith("Stopped: It was asked to stop.")
    assert run("stop", str(bundle), "--force", "--json").json["state"] == "stopped"


UNSAVED = WRITE_STEPS.replace('"first_step": 1,', '"first_step": 1, "saves": true,') + "; touch logs/ready; sleep 600"


def test_a_stop_that_could_not_save_exits_with_1(run, bundle) -> None:
    program(bundle, UNSAVED)
    assert run("run", str(bundle), "--detach").code == 0
    while not (bundle / "logs/ready").exists():
        time.sleep(0.02)
    stopped = run("stop", str(bundle))
    assert stopped.code == 1
    assert stopped.out.startswith("Stopped without saving: It was asked to stop. Steps 1 to 2 are in no checkpoint:")
    assert run("status", str(bundle)).code == 1
    assert run("status", str(bundle), "--json").json["run"]["unsaved"]["last_step"] == 2


def test_ctrl_c_stops_the_run_and_a_second_one_forces_it(run, bundle, monkeypatch) -> None:
    program(bundle, "sleep 600")
    calls = []

    def interrupted(folder, **options):
        raise KeyboardInterrupt

    def stop(folder, *, is_forced=False):
        calls.append(is_forced)
        if not is_forced:
            raise KeyboardInterrupt
        return stopping(folder, is_forced=is_forced)

    stopping = service.stop_run
    monkeypatch.setattr(service, "follow_run", interrupted)
    monkeypatch.setattr(service, "stop_run", stop)
    result = run("run", str(bundle))
    assert result.code == 130
    assert calls == [False, True]
    assert "no process is left" in result.err
    monkeypatch.setattr(service, "stop_run", stopping)
    assert service.run_status(bundle).state == "stopped"


def test_logs_are_printed_as_they_were_said(run, bundle) -> None:
    assert run("logs", str(bundle)).code == 2, "never started"
    run("run", str(bundle))
    assert run("logs", str(bundle)).out == "its words\n"
    assert run("logs", str(bundle), "--follow").out == "its words\n"
    assert run("logs", str(bundle), "--json").out == '"its words"\n'
    silent = run("logs", str(bundle), "--rank", "1")
    assert (silent.code, silent.out) == (0, "")
    assert "rank 1 has said nothing" in silent.err
    missing = run("logs", str(bundle), "--rank", "2")
    assert missing.code == 2
    assert "ranks 0 to 1, and no 2" in missing.err


def test_an_edited_file_is_named_and_forced_on_request(run, bundle) -> None:
    (bundle / "run_training.sh").write_text("#!/bin/sh\necho theirs\n")
    result = run("run", str(bundle))
    assert result.code == 2
    assert f"{bundle}/run_training.sh: it was edited" in result.err
    assert run("run", str(bundle), "--force").code == 0
    assert run("logs", str(bundle)).out == "theirs\n"


@pytest.mark.parametrize("verb", ["run", "status", "logs", "stop"])
def test_a_folder_without_a_bundle_is_bad_input(run, tmp_path, bundle, verb) -> None:
    result = run(verb, str(tmp_path))
    assert result.code == 2
    assert "there is no bundle" in result.err


def test_exit_codes_of_what_cannot_be_started(run, bundle, monkeypatch) -> None:
    assert run("run", str(bundle), "--python", "no-such-python").code == 4
    program(bundle, "exit 0", backend="slurm")
    submitted = run("run", str(bundle))
    assert submitted.code == 0
    assert submitted.out.startswith("Submitted: run_training.sh has handed it to slurm")
    manifest = json.loads((bundle / "metadata.json").read_text())
    del manifest["files"]["run_training.sh"]
    (bundle / "metadata.json").write_text(json.dumps(manifest))
    assert run("run", str(bundle)).code == 3


def test_the_line_behind_the_bar(bundle, run) -> None:
    run("run", str(bundle))
    found = service.run_status(bundle)
    at_work = dataclasses.replace(found, state="running", remaining_seconds=65.0)
    assert progress_line(at_work) == "loss 8, 500 ms a step, 250 ms predicted, 65 s left"
    assert progress_line(dataclasses.replace(at_work, step=None, elapsed_seconds=4.2)) == "4 s"
    assert progress_line(unknown(at_work)) == ""


def unknown(found: RunStatus) -> RunStatus:
    return dataclasses.replace(found, step=None, elapsed_seconds=None)


def test_a_rank_that_said_nothing_is_said_to_have_said_nothing(bundle, run) -> None:
    program(bundle, "exit 1")
    run("run", str(bundle))
    assert list(failure_view(service.run_status(bundle))) == ["It wrote nothing before it ended."]
