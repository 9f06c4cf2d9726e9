"""What a bundle needs of its Python, told before anything starts."""

import json
import sys
from pathlib import Path

import pytest

from crosszone.errors import PreflightFailed
from crosszone.launch.bundle_folder import open_bundle
from crosszone.launch.interpreter import LOOK, check_python, chosen_python


def python_that(tmp_path: Path, text: str) -> str:
    path = tmp_path / "some python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def saying(tmp_path: Path, **facts: object) -> str:
    said = json.dumps({"version": "3.11.7", "missing": [], "num_gpus": 0, "fault": "", **facts})
    return python_that(tmp_path, f"cat <<'END'\nsome warning\n{said}\nEND")


def test_asked_for_comes_before_the_variable_and_that_before_our_own(tmp_path, monkeypatch) -> None:
    other = python_that(tmp_path, "")
    monkeypatch.setenv("PYTHON", other)
    assert chosen_python(sys.executable) == sys.executable
    assert chosen_python(None) == other
    monkeypatch.delenv("PYTHON")
    monkeypatch.setattr("crosszone.launch.interpreter.find_spec", lambda name: object())
    assert chosen_python(None) == sys.executable
    monkeypatch.setattr("crosszone.launch.interpreter.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "python3").symlink_to(other)
    assert chosen_python(None) == str(tmp_path / "python3")


@pytest.mark.parametrize("place", ["--python", "$PYTHON"])
def test_a_python_that_is_not_there_is_named_with_its_place(monkeypatch, place) -> None:
    monkeypatch.setenv("PYTHON", "no-such-python")
    with pytest.raises(PreflightFailed, match='no program "no-such-python"') as caught:
        chosen_python("no-such-python" if place == "--python" else None)
    assert caught.value.findings[0].where == place


@pytest.mark.parametrize(
    ("facts", "code", "message"),
    [
        ({"missing": ["torch"], "fault": "no module torch"}, "missing_package", "Python 3.11.7 lacks torch."),
        ({"missing": ["numpy", "transformers"]}, "missing_package", "lacks numpy, transformers."),
        ({"fault": "OSError: libcudart.so.13"}, "no_torch", "cannot import torch: OSError: libcudart.so.13."),
    ],
)
def test_what_is_missing_comes_with_the_command_that_mends_it(make, tmp_path, facts, code, message) -> None:
    bundle = open_bundle(make())
    with pytest.raises(PreflightFailed) as caught:
        check_python(bundle, saying(tmp_path, **facts))
    (finding,) = caught.value.findings
    assert finding.code == code
    assert message in finding.message
    assert f"-m pip install -r {bundle.folder}/requirements.txt" in finding.hint


def test_every_rank_needs_a_gpu(make, tmp_path) -> None:
    bundle = open_bundle(make(device="cuda"))
    with pytest.raises(PreflightFailed, match="sees 1 GPUs, but the bundle has 2 ranks"):
        check_python(bundle, saying(tmp_path, num_gpus=1))
    check_python(bundle, saying(tmp_path, num_gpus=2))


@pytest.mark.parametrize(("text", "why"), [("exit 3", "ended with 3"), ("echo oops >&2; exit 1", "oops")])
def test_what_is_no_python_is_told_as_such(make, tmp_path, text, why) -> None:
    with pytest.raises(PreflightFailed, match=f"does not work as a Python: .*{why}"):
        check_python(open_bundle(make()), python_that(tmp_path, text))


def test_the_question_is_answered_by_a_real_python(tmp_path, make) -> None:
    """Without torch: a Python whose path is empty of packages; the names are those of requirements.txt."""
    bundle = open_bundle(make())
    (bundle.folder / "requirements.txt").write_text("# a comment\n-r other.txt\nno-such-thing==1.0\ntorch>=2\n")
    bare = python_that(tmp_path, f'exec "{sys.executable}" -I -S "$@"')
    with pytest.raises(PreflightFailed, match="lacks no-such-thing, torch"):
        check_python(bundle, bare)
    compile(LOOK, "look", "exec")
