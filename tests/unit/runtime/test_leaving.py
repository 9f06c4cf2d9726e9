"""A process that has left its group ends in peace, however busy the machine is."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux names its threads")

# The workers of Gloo run only when nothing else wants the processor, and something else wants it all the time.
PROGRAM = """
import os, sys, time
from pathlib import Path
import torch
from torch import distributed
from crosszone.runtime.leaving import WORKER, leave
os.sched_setaffinity(0, {0})
busy = os.fork()
if not busy:
    parent = os.getppid()
    while os.getppid() == parent:
        pass
    os._exit(0)
distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
import torch.distributed.nn  # holds the group from now on
distributed.barrier()
def named():
    return [task.parent for task in Path("/proc/self/task").glob("*/comm") if task.read_text().strip() == WORKER]
latest = time.monotonic() + 60
while not (workers := named()):  # a thread names itself
    assert time.monotonic() < latest, "Gloo's workers have another name"
    time.sleep(0.01)
for worker in workers:
    os.sched_setscheduler(int(worker.name), os.SCHED_IDLE, os.sched_param(0))
for _ in range(4):
    distributed.all_reduce(torch.ones(3))
{"leave": leave, "destroy": distributed.destroy_process_group}[sys.argv[1]]()
"""


# With one thread of torch's own, even `destroy` ends in peace; with as many as there are cores, three of eight do not.
AROUND = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}


def ends_with(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], check=False, timeout=120, capture_output=True, text=True, env=AROUND
    )
    assert done.returncode in {0, -6}, done.stderr[-2000:]
    return done.returncode


def test_a_process_with_late_workers_ends_in_peace() -> None:
    assert [ends_with("leave") for _ in range(4)] == [0] * 4
