"""Starts ranks that meet on this machine, and reads what they found."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from crosszone.core.codec import from_json
from crosszone.core.ranks import RankReport
from crosszone.launch.interpreter import chosen_python
from crosszone.processes import whole_program

PROGRAM = Path(__file__).parents[2] / "runtime" / "probe.py"
"""Run by its path: it needs torch and nothing of this package, which the ranks' Python may not have."""
LIMIT_SECONDS = 300.0
"""DeepSpeed compiles two extensions at its first start, which takes minutes."""
GRACE_SECONDS = 5.0
"""Chosen: ranks of a look have nothing to save."""
FRAMEWORKS = {"ddp": "ddp", "fsdp": "fsdp", "deepspeed": "deepspeed"}
OTHER = "fsdp"
"""What takes the step where the framework's own has no short form: torch's sharding."""
LAST_LINES = 15


def run_ranks(*, num_ranks: int, device: str, framework: str, zero_stage: int = 2) -> RankReport:
    """Start `num_ranks`, and tell what they found or why they found nothing. Errors: PreflightFailed without Python."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_ranks}"]
    probe = [str(PROGRAM), f"--device={device}", f"--framework={FRAMEWORKS.get(framework, OTHER)}"]
    probe.append(f"--zero-stage={zero_stage}")
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    if device == "cpu":
        environment |= {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu"}
    code, output, errors = _run([chosen_python(None), *launcher, *probe], environment)
    found = _found(output)
    backend = "nccl" if device == "cuda" else "gloo"
    if found is None:
        why = "did not end in time" if code is None else f"ended with {code}"
        lines = [line for line in errors.strip().splitlines() if line.strip()]
        return RankReport(
            is_ready=False,
            verdict=f"Not ready: {num_ranks} ranks {why} before they had met and taken a step.",
            backend=backend,
            num_ranks=num_ranks,
            expected_sum=num_ranks * (num_ranks - 1) // 2,
            problem="\n".join(lines[-LAST_LINES:]),
        )
    return judged(found)


def judged(found: dict[str, Any]) -> RankReport:
    """The report of what ranks printed. PASS is said of what was done, and only where all of it is right."""
    is_summed = found["sums"] == [found["expected_sum"]] * found["num_ranks"]
    step = found["step"]
    if not is_summed:
        verdict = f"Not ready: ranks add up to {found['sums']}, not each to {found['expected_sum']}."
    elif not step["is_equal"]:
        verdict = (
            f"Not ready: a step of {step['how']} differs from one process by {step['largest_difference']:.3g}, "
            f"more than {step['tolerance']:.3g}; weights changed by {step['least_change']:.3g}."
        )
    else:
        verdict = f"Ready: {found['num_ranks']} ranks met, add up, and a step of {step['how']} is that of one process."
    return from_json(RankReport, {"is_ready": is_summed and bool(step["is_equal"]), "verdict": verdict, **found})


def _run(command: list[str], environment: dict[str, str]) -> tuple[int | None, str, str]:
    """(exit code, output, errors) of a program and all that it starts; None: it was ended, for time was up."""
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    with whole_program(command, environment=environment, grace_seconds=GRACE_SECONDS, **options) as process:
        try:
            output, errors = process.communicate(timeout=LIMIT_SECONDS)
            return process.returncode, output, errors
        except subprocess.TimeoutExpired:
            pass
    output, errors = process.communicate()  # all that wrote into it is gone
    return None, output, errors


def _found(output: str) -> dict[str, Any] | None:
    for line in output.splitlines():
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict) and "probe" in value:
                return dict(value["probe"])
    return None
