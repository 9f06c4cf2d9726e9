"""Write the output of every example anew: `python examples/refresh.py`, or with names to refresh only these.

The comments of NAME.yaml hold the commands, `#   $ crosszone ...`; NAME.out holds what they print, so that a reader
sees it without running it, and a test that it still is so. The time that a search took is left out of it. The READMEs
show the first part of one output; it is refreshed too.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent
COMMAND = re.compile(r"^#\s+\$ crosszone (.+)$", re.MULTILINE)
SHOWN = "three-zones-china"
"""The example that the READMEs show, down to its section "Turned down"."""
SHOWN_BLOCK = re.compile(rf"^```\n\$ crosszone plan examples/{SHOWN}.*?^```$", re.MULTILINE | re.DOTALL)
READMES = ("README.md", "README.zh.md")
ELAPSED = re.compile(r"(candidates in )[\d.]+ \w+")


def commands(example: Path) -> list[list[str]]:
    """Arguments of each command in the comments of a job file."""
    return [match[1].split() for match in COMMAND.finditer(example.read_text(encoding="utf-8"))]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `crosszone` in the project's folder, on a screen of 80 columns without colours."""
    keep = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    return subprocess.run(
        [sys.executable, "-m", "crosszone.cli", *arguments],
        cwd=EXAMPLES.parent,
        env={**keep, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def output(example: Path) -> str:
    """What NAME.out should hold: each command, what it printed, and its exit code where that is not 0."""
    parts = []
    for arguments in commands(example):
        done = run(arguments)
        parts += [f"$ crosszone {' '.join(arguments)}\n", ELAPSED.sub(r"\1…", done.stdout), done.stderr]
        if done.returncode:
            parts.append(f"[exit code {done.returncode}]\n")
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def readme_block() -> str:
    """The block of code that both READMEs show."""
    shown = (EXAMPLES / f"{SHOWN}.out").read_text(encoding="utf-8")
    return f"```\n{shown.partition('Turned down')[0].rstrip()}\n```"


def main(names: list[str]) -> None:
    """Refresh the examples called `names`, or all."""
    chosen = [EXAMPLES / f"{Path(name).stem}.yaml" for name in names] or sorted(EXAMPLES.glob("*.yaml"))
    for example in chosen:
        if commands(example):
            example.with_suffix(".out").write_text(output(example), encoding="utf-8")
            print(example.with_suffix(".out").name)
    for name in READMES:
        readme = EXAMPLES.parent / name
        text = readme.read_text(encoding="utf-8")
        readme.write_text(SHOWN_BLOCK.sub(lambda _: readme_block(), text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
