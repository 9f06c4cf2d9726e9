"""Ask a real server all that its OpenAPI allows, and what it forbids, with schemathesis; print what does not hold.

    python benchmarks/server/fuzz.py                     # 20,000 cases or more
    python benchmarks/server/fuzz.py --examples 5        # less of it
    python benchmarks/server/fuzz.py --write             # also rewrites benchmarks/server/fuzz.txt

Every check of schemathesis but one: that what keeps the schema is accepted. No JSON Schema says that a GPU is in the
catalog or that degrees multiply to the GPUs; such requests are answered 422, with the reason.
"""

import argparse
import datetime
import platform
import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from load import server

HERE = Path(__file__).resolve().parent
EXAMPLES = 400
"""Of each operation, drawn by chance; those that cover every limit of every key come on top, some ten thousand."""
NOT_CHECKED = "positive_data_acceptance"
LEAST_CASES = 20_000
REQUEST_SECONDS = 150
"""Longer than the server lets anything take."""


def fuzz(port: int, *, num_examples: int, seed: int, phases: str) -> tuple[int, str]:
    """The exit code of schemathesis and what it printed."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"http://127.0.0.1:{port}/api/v1/openapi.json"),
        *("--phases", phases, "--max-examples", str(num_examples), "--seed", str(seed)),
        *(
            "--request-timeout",
            str(REQUEST_SECONDS),
            "--exclude-checks",
            NOT_CHECKED,
            "--continue-on-failure",
            "--no-color",
            "--warnings",
            "off",
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:  # where it may leave what it likes
        found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    return found.returncode, found.stdout + found.stderr


def num_cases(text: str) -> int:
    """How many requests schemathesis says that it made."""
    found = re.search(r"(\d+) generated", text)
    return int(found[1]) if found else 0


def main() -> None:
    """Ask, print, perhaps write. The exit code is that of schemathesis."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with server(log) as (port, process):
            code, printed = fuzz(port, num_examples=arguments.examples, seed=arguments.seed, phases=arguments.phases)
            is_alive = process.poll() is None
        mistakes = [line for line in log.read_text(encoding="utf-8").splitlines() if '"level": "INFO"' not in line]
    summary = printed[printed.find("= SUMMARY =") :].partition("\n")[2].strip() if "= SUMMARY =" in printed else printed
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        f"$ python benchmarks/server/fuzz.py {' '.join(sys.argv[1:])}".rstrip(),
        "",
        f"schemathesis {version('schemathesis')}, Python {platform.python_version()}; {today}",
        "",
        summary,
        "",
        f"The server was there to the end: {'yes' if is_alive else 'no'}",
        f"{LEAST_CASES:,} cases or more: {'yes' if num_cases(printed) >= LEAST_CASES else 'no'}",
    ]
    text = "\n".join(lines) + "\n"
    print("\n".join([printed, *mistakes]) if code else text)
    if arguments.write:
        (HERE / "fuzz.txt").write_text(text, encoding="utf-8")
    raise SystemExit(code)


if __name__ == "__main__":
    main()
