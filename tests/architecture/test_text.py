"""Files say nothing about the machine that they were written on."""

from __future__ import annotations

import re

import pytest

PATTERNS = {
    "a path of one machine": re.compile(r"(?<![\w.)}])/(work|home/\w+|root|Users/\w+|opt/wheels)(?![\w-])"),
    "a temporary folder of one machine": re.compile(r"(?<![\w.)}])/tmp/(?!\$|\{)\w+"),
    "the host of a package registry": re.compile(
        r"files\.pythonhosted\.org|pypi\.org/simple|registry\.npmjs\.org|https?://\S+/simple\b|index-url\s*=\s*http",
        re.IGNORECASE,
    ),
    "a secret": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b"),
}
BINARY = {".png", ".jpg", ".jpeg", ".gif", ".ico", ".woff2", ".xlsx", ".gz", ".zip", ".pt"}


def faults_in(text: str) -> list[str]:
    return [f"{kind}: {match[0]}" for kind, pattern in PATTERNS.items() for match in pattern.finditer(text)]


def test_no_file_names_a_machine_or_a_registry(project_files, root):
    faults = []
    for path in project_files:
        if path.suffix in BINARY or path.name == "test_text.py":
            continue
        faults += [f"{path}: {fault}" for fault in faults_in((root / path).read_text(encoding="utf-8"))]
    assert not faults, "\n".join(faults)


def test_text_files_end_with_a_newline_and_have_no_carriage_return(project_files, root):
    faults = []
    for path in project_files:
        data = (root / path).read_bytes()
        if path.suffix not in BINARY and data and (not data.endswith(b"\n") or b"\r" in data):
            faults.append(str(path))
    assert not faults


@pytest.mark.parametrize(
    "text",
    ["cd /" + "work/repo", '"/home/ann/x"', "see /root/.cache", "/" + "tmp/abc", "https://mirror.example/pypi/simple"],
)
def test_the_rule_refuses(text):
    assert faults_in(text)


@pytest.mark.parametrize("text", ["/workspace/data", "docs/work", "$HOME/work", "https://pypi.org/project/crosszone"])
def test_the_rule_allows(text):
    assert not faults_in(text)
