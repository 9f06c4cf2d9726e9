"""`crosszone init --guide`: on a terminal, from options, from lines; never half a file."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crosszone import service

SMALL = ("model=opt-350m", "sequence_length=2048", "nodes_1=1")
SECONDS = 60.0


def options(*answers: str) -> list[str]:
    return [part for answer in (*SMALL, *answers) for part in ("--answer", answer)]


class Terminal:
    """`crosszone` on a pseudo-terminal: what it shows, and what a person types."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.master, slave = pty.openpty()
        environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80", "TERM": "dumb"}
        command = [sys.executable, "-m", "crosszone.cli", *arguments]
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=environment, close_fds=True
        )
        os.close(slave)
        self.shown = ""

    def expect(self, text: str) -> str:
        """Everything shown until `text`, which is taken off."""
        deadline = time.monotonic() + SECONDS
        while text not in self.shown:
            assert self._read(deadline), f"{text!r} never came: {self.shown[-2000:]}"
        before, _, self.shown = self.shown.partition(text)
        return before

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        """The exit code; the rest of what it shows is in `shown`."""
        deadline = time.monotonic() + SECONDS
        while self._read(deadline):
            pass
        os.close(self.master)
        return self.process.wait(timeout=SECONDS)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(deadline - time.monotonic(), 0.0))
        try:
            part = os.read(self.master, 65536) if ready else b""
        except OSError:  # the other end was closed
            part = b""
        self.shown += part.decode(errors="replace").replace("\r\n", "\n")
        return bool(part)


def test_on_a_terminal_it_asks_again_until_an_answer_is_legal(tmp_path) -> None:
    terminal = Terminal("init", "--guide", "job.yaml", cwd=tmp_path)
    terminal.expect("model [llama-3.1-8b]: ")
    terminal.type("opt-350n\n")
    assert "opt-350m" in terminal.expect("model [llama-3.1-8b]: ")  # the nearest name
    terminal.type("opt-350m\n")
    assert "from 1 to 2048" in terminal.expect("sequence_length [2048]: ")
    terminal.type("\n")
    for key in ("gpu", "gpus_per_node", "zones"):
        terminal.expect(f"  {key} [")
        terminal.type("\n")
    terminal.expect("nodes_1 [2]: ")
    terminal.type("back\n")
    terminal.expect("zones [1]: ")
    terminal.type("\n")
    terminal.expect("nodes_1 [2]: ")
    terminal.type("1\n")
    for key in ("precision", "global_batch_size", "shard", "recompute", "microbatch_size"):
        terminal.expect(f"  {key} [")
        terminal.type("\n")
    assert "it divides the 16 heads and a node of 8 GPUs" in terminal.expect("  tp [")
    terminal.type("3\n")
    assert "tp 3 is not legal" in terminal.expect("  tp [")
    terminal.type("2\n")
    for key in ("pp", "dp", "dataset_tokens", "epochs"):
        terminal.expect(f"  {key} [")
        assert not (tmp_path / "job.yaml").exists()
        terminal.type("\n")
    terminal.expect("Predicted: ")
    assert terminal.end() == 0
    assert "Wrote job.yaml" in terminal.shown
    problem = service.read(tmp_path / "job.yaml")
    assert (problem.model.name, problem.plan.tp) == ("opt-350m", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["job.yaml"]


def test_a_guide_that_ends_early_writes_nothing(tmp_path) -> None:
    terminal = Terminal("init", "--guide", "job.yaml", cwd=tmp_path)
    terminal.expect("model [llama-3.1-8b]: ")
    terminal.type("\x04")  # end of input
    assert terminal.end() == 1
    assert "nothing was written" in terminal.shown
    assert not list(tmp_path.iterdir())


def test_interrupting_is_quiet(tmp_path) -> None:
    terminal = Terminal("init", "--guide", "job.yaml", cwd=tmp_path)
    terminal.expect("model [llama-3.1-8b]: ")
    terminal.type("\x03")
    time.sleep(0.5)  # Python drops an interrupt that falls into a finalizer: it shall wait for the answer by now
    terminal.process.send_signal(signal.SIGINT)  # a terminal that is nobody's own sends none
    assert terminal.end() == 130
    assert "Traceback" not in terminal.shown
    assert not list(tmp_path.iterdir())


def test_a_terminal_asks_only_for_what_options_leave_open(tmp_path) -> None:
    given = options("tp=2", "pp=1", "dp=4", "epochs=1", "gpu=a100-sxm4-80gb", "zones=1", "gpus_per_node=8")
    given += ["--answer", "precision=bf16", "--answer", "dataset_tokens=1B", "--answer", "recompute=none"]
    given += ["--answer", "shard=none", "--answer", "microbatch_size=1"]
    terminal = Terminal("init", "--guide", *given, "job.yaml", cwd=tmp_path)
    terminal.expect("global_batch_size [")
    terminal.type("64\n")
    assert terminal.end() == 0
    assert service.read(tmp_path / "job.yaml").workload.global_batch_size == 64


def test_without_a_terminal_it_says_how_to_answer(run, tmp_path) -> None:
    result = run("init", "--guide", str(tmp_path / "job.yaml"), "--json")
    assert result.code == 2
    (error,) = result.json["errors"]
    assert error["code"] == "no_terminal"
    assert "--answer KEY=VALUE" in error["hint"]
    assert not list(tmp_path.iterdir())


def test_what_options_leave_open_is_as_recommended(run, tmp_path) -> None:
    path = tmp_path / "job.yaml"
    result = run("init", "--guide", str(path), *options("tp=4"), "--json")
    assert result.code == 0
    assert result.json["answers"]["tp"] == "4"
    assert result.json["answers"]["precision"] == "bf16"
    assert result.json["text"] == path.read_text(encoding="utf-8")
    predicted = run("predict", str(path), "--json").json
    assert result.json["prediction"]["step_seconds"] == predicted["step_seconds"]


def test_without_a_path_the_job_goes_to_stdout_and_the_rest_to_stderr(run) -> None:
    result = run("init", "--guide", *options())
    assert result.code == 0
    assert service.read_text(result.out).model.name == "opt-350m"
    assert "Predicted: " in result.err


@pytest.mark.parametrize(
    ("answer", "code", "fragment"),
    [
        ("tp=3", 2, "tp 3 is not legal"),
        ("tq=3", 2, "Keys are model, sequence_length"),
        ("model_name=opt-350m", 2, 'Did you mean "model"'),
        ("tp", 2, "KEY=VALUE"),
        ("model=llama-3.1-405b", 3, "GB"),
    ],
)
def test_illegal_options_end_it_with_the_numbers(run, tmp_path, answer, code, fragment) -> None:
    result = run("init", "--guide", str(tmp_path / "job.yaml"), *options(answer))
    assert result.code == code
    assert fragment in result.err
    assert not list(tmp_path.iterdir())


def test_lines_of_a_file_answer_one_question_each(run, tmp_path) -> None:
    answers, path = tmp_path / "answers", tmp_path / "job.yaml"
    lines = ["opt-350m", "2048", "", "", "", "1", *[""] * 4, "", "2", *[""] * 4]
    answers.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert run("init", "--guide", "--answers", str(answers), str(path)).code == 0
    assert service.read(path).plan.tp == 2


def test_too_few_lines_are_told(run, tmp_path, monkeypatch) -> None:
    answers = tmp_path / "answers"
    answers.write_text("opt-350m\n", encoding="utf-8")
    result = run("init", "--guide", "--answers", str(answers), "--json")
    assert result.code == 2
    assert "there is no line for sequence_length" in result.json["errors"][0]["message"]


def test_lines_may_come_from_standard_input(run) -> None:
    result = run("init", "--guide", "--answers", "-", stdin=b"opt-350m\n2048\n\n\n\n1\n" + b"\n" * 10)
    assert result.code == 0
    assert "opt-350m" in result.out


def test_a_file_that_is_there_is_refused_before_anything_is_asked(run, tmp_path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("mine")
    result = run("init", "--guide", str(path), *options("tp=3"))  # illegal too, but nobody looked
    assert result.code == 2
    assert "--force" in result.err
    assert path.read_text() == "mine"
    assert run("init", "--guide", str(path), *options(), "--force").code == 0
    assert path.read_text() != "mine"


def test_a_file_that_came_meanwhile_stays(run, tmp_path, monkeypatch) -> None:
    path = tmp_path / "job.yaml"
    text = service.guide_job

    def slow(draft):
        path.write_text("theirs")
        return text(draft)

    monkeypatch.setattr(service, "guide_job", slow)
    assert run("init", "--guide", str(path), *options()).code == 2
    assert path.read_text() == "theirs"
    assert [one.name for one in tmp_path.iterdir()] == ["job.yaml"]


def test_where_the_guide_stands_can_be_sent() -> None:
    value = service.guide_json(service.guide())
    assert value["question"]["key"] == "model"
    assert (value["answers"], value["plan"], value["job"]) == ({}, None, None)


def test_answers_without_the_guide_are_refused(run) -> None:
    assert "Add --guide" in run("init", "--answer", "tp=2").err
    assert run("init", "--guide", "--template", "small").code == 2
