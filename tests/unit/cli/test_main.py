"""The program around the verbs: usage errors, failures, signals, streams and start-up."""

import io
import os
import signal
import subprocess
import sys

import pytest

from crosszone import service
from crosszone.errors import CrossZoneError, Finding, InfeasiblePlan, SpecError

HEAVY = ("numpy", "pydantic", "ruamel", "rich", "scipy", "torch", "crosszone.spec", "crosszone.planner")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plann", "job.yaml"), "No such command 'plann'"),
        (("plan",), "Missing argument 'JOB'"),
        (("plan", "job.yaml", "--tpo", "3"), "No such option: --tpo"),
        (("catalog", "gpu"), "'gpu' is not one of"),
        ((), "Missing command."),
    ],
)
def test_usage_errors_exit_2_also_as_json(run, arguments, message) -> None:
    for_people, for_programs = run(*arguments), run(*arguments, "--json")
    assert for_people.code == for_programs.code == 2
    assert for_people.out == ""
    assert for_people.err
    (error,) = for_programs.json["errors"]
    assert error["code"] == "usage"
    assert message in error["message"]
    assert "--help" in error["hint"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "job.yaml", "--top", "0"), '"0" is not a whole number from 1 on.'),
        (("plan", "job.yaml", "--top", "2.5"), '"2.5" is not a whole number from 1 on.'),
        (("validate", "runs.csv", "--fail-above=-0.1"), '"-0.1" is not a number from 0 on.'),
        (("validate", "runs.csv", "--fail-above", "nan"), '"nan" is not a number from 0 on.'),
    ],
)
def test_numbers_of_options_are_told_as_they_were_written(run, arguments, message) -> None:
    result = run(*arguments, "--json")
    assert result.code == 2
    (error,) = result.json["errors"]
    assert error["message"] == message
    assert error["where"] in ("--top", "--fail-above")
    assert error["hint"].startswith(f"Write one, as {error['where']} ")


def test_no_word_of_the_parser_gets_through(run) -> None:
    assert "Value error" not in run("catalog", "gpu").err


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("predict", "/nowhere/job.yaml"), "/nowhere/job.yaml"),
        (("plan", "/"), "/"),
        (("validate", "/nowhere/runs.csv"), "/nowhere/runs.csv"),
        (("catalog", "gpus", "nosuch"), "catalog gpus"),
        (("catalog", "models", "nosuch"), "catalog models"),
    ],
)
def test_what_cannot_be_read_or_found_has_a_place_and_a_hint(run, arguments, where) -> None:
    result = run(*arguments, "--json")
    assert result.code == 2
    (error,) = result.json["errors"]
    assert error["where"] == where
    assert error["hint"]


def test_bare_program_shows_its_help_on_stderr(run) -> None:
    result = run()
    assert result.code == 2
    assert "Commands:" in result.err


@pytest.mark.parametrize(("kind", "code"), [(SpecError, 2), (InfeasiblePlan, 3), (CrossZoneError, 1)])
def test_every_problem_is_reported_at_once(run, ranked, monkeypatch, kind, code) -> None:
    findings = (
        Finding(
            code="no_unit", message="bandwidth 10 has no unit.", where="cluster.links[0]", hint='Write "10 Gbit/s".'
        ),
        Finding(code="unknown_key", message='unknown key "modl".'),
    )

    def fail(problem: object, **_: object) -> None:
        raise kind(*findings)

    monkeypatch.setattr(service, "predict", fail)
    for_people, for_programs = run("predict", "job.yaml"), run("predict", "job.yaml", "--json")
    assert for_people.code == for_programs.code == code
    assert for_people.out == ""
    assert for_people.err.splitlines() == [
        'error: cluster.links[0]: bandwidth 10 has no unit. Write "10 Gbit/s".',
        'error: unknown key "modl".',
        "2 problems",
    ]
    assert for_programs.err == ""
    assert [error["where"] for error in for_programs.json["errors"]] == ["cluster.links[0]", ""]


def test_our_own_mistake_exits_1_without_a_traceback_unless_verbose(run, ranked, monkeypatch) -> None:
    monkeypatch.setattr(service, "predict", lambda problem, **_: {}["gone"])
    short, whole = run("predict", "job.yaml"), run("predict", "job.yaml", "--verbose")
    assert short.code == whole.code == 1
    assert "KeyError: 'gone'" in short.err
    assert "Traceback" not in short.err
    assert "Traceback" in whole.err
    assert run("predict", "job.yaml", "--json").json["errors"][0]["code"] == "internal"


def test_interrupt_is_quiet(run, ranked, monkeypatch) -> None:
    def interrupt(problem: object, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "predict", interrupt)
    result = run("predict", "job.yaml")
    assert (result.code, result.out, result.err) == (130, "", "")


def test_version(run) -> None:
    import crosszone

    assert run("--version").out == f"crosszone {crosszone.__version__}\n"


@pytest.mark.parametrize("verb", ["init", "predict", "plan", "catalog"])
def test_each_verb_explains_itself(run, verb) -> None:
    result = run(verb, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: crosszone {verb}")
    assert "--json" in result.out


@pytest.mark.parametrize("group", [(), ("tokens",), ("quotas",)])
def test_summaries_in_the_help_are_whole(run, group) -> None:
    assert "..." not in run(*group, "--help").out.split("Commands:")[1]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from crosszone.cli import main; main(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_verb_loads_neither_its_siblings_nor_the_servers_side() -> None:
    code = (
        "import sys; from crosszone.cli import main; main(['--json', 'plan', '/nowhere/job.yaml']);"
        "print([name for name in sys.modules if name.startswith(('crosszone.cli', 'crosszone.s'))], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'crosszone.cli.plan'" in done.stderr
    assert not [name for name in ("cli.serve", "cli.predict", "service.tasks", "store") if name in done.stderr]


@pytest.mark.parametrize("arguments", [("--help", "plan"), ("-h",), ("plann", "--help")])
def test_all_verbs_are_known_where_they_may_be_listed(run, arguments) -> None:
    result = run(*arguments)
    assert "Commands:" in result.out or "Did you mean 'plan'" in result.err


def test_reader_that_goes_away_is_no_failure_of_ours() -> None:
    program = subprocess.Popen(
        [sys.executable, "-m", "crosszone.cli", "init"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.close()
    errors = program.stderr.read()
    program.stderr.close()
    assert program.wait() == 128 + signal.SIGPIPE
    assert errors == b""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk", "utf-8"])
def test_any_locale_can_show_every_result(ranked, answer, monkeypatch, encoding) -> None:
    from crosszone.cli import main

    for verb in ("predict", "plan"):
        for option in ("--verbose", "--json"):
            stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
            monkeypatch.setattr(sys, "stdout", stream)
            assert main([verb, "job.yaml", option]) == 0
            assert stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


def test_plain_letters_stand_in_for_what_a_locale_lacks(ranked, monkeypatch) -> None:
    from crosszone.cli import main

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    main(["predict", "job.yaml"])
    text = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "north -> south" in text
    assert "################...." in text


def test_no_terminal_means_no_escape_codes(run, ranked) -> None:
    assert os.environ["NO_COLOR"]
    assert "\x1b" not in run("predict", "job.yaml").out


def test_a_process_does_not_look_for_garbage_as_it_ends() -> None:
    """That took a tenth of a verb's time; a caller in the same process keeps its own garbage collection."""
    kept = "import gc, sys; from crosszone.cli import main; main({}); print(gc.get_freeze_count() > 0, file=sys.stderr)"
    for arguments, is_frozen in (("None", "True"), ("['--version']", "False")):
        command = [sys.executable, "-c", kept.format(arguments), "--version"]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        assert ended.stderr.split()[-1] == is_frozen
