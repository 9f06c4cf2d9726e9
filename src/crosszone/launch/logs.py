"""The words of a run: all of them in the order in which they came, or those of one rank."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from crosszone.core.run import RUNNING, Run
from crosszone.errors import SpecError
from crosszone.launch.backends import JOB_LOG, OUTPUT_FILE, SLURM, SSH, can_run, fetch_logs, launchers
from crosszone.launch.bundle_folder import BundleFolder, open_bundle
from crosszone.launch.failure import rank_folder
from crosszone.launch.record import read_run
from crosszone.launch.status import UNFOLLOWED_REASON, status

POLL_SECONDS = 0.3
STREAMS = ("stdout.log", "stderr.log")
RANK_PREFIX = "[rank {rank}] "
"""As the supervisor has torchrun begin each line of a rank."""


def log_text(folder: Path, *, rank: int | None = None, is_following: bool = False) -> Iterator[str]:
    """What the newest run of the bundle in `folder` said, in pieces; all of it, or what `rank` said.

    `is_following`: what it will say too, until it is over. Errors: SpecError where there is no bundle, run or rank.
    """
    bundle = open_bundle(folder)
    run = read_run(bundle.logs)
    if run is None and not can_run(bundle):
        reason = UNFOLLOWED_REASON.format(backend=bundle.backend)
        raise SpecError.of(reason, where=str(folder), hint="Look there.", code="unfollowed")
    if run is None:
        hint = "`crosszone run DIR` starts it."
        raise SpecError.of("it has not been started.", where=str(folder), hint=hint, code="never_started")
    if rank is not None and not 0 <= rank < run.world_size:
        message = f"the run has ranks 0 to {run.world_size - 1}, and no {rank}."
        raise SpecError.of(message, where="--rank", hint="Name one of them.", code="unknown_rank")
    if bundle.backend == SSH:
        fetch_logs(bundle)
    return _text(bundle, run, rank, is_following=is_following)


def _text(bundle: BundleFolder, run: Run, rank: int | None, *, is_following: bool) -> Iterator[str]:
    positions = {bundle.logs / name: size for name, size in run.log_sizes}
    while True:
        is_over = not is_following or status(bundle.folder).state != RUNNING  # before what it wrote last is read
        run = read_run(bundle.logs) or run  # a job's number is known a while after the start
        for path in _files(bundle, run, rank):
            lines = _new(path, positions, is_over=is_over)
            yield from lines if rank is None or bundle.backend != SLURM else _of_rank(lines, rank)
        if is_over:
            return
        time.sleep(POLL_SECONDS)


def _files(bundle: BundleFolder, run: Run, rank: int | None) -> tuple[Path, ...]:
    """In the order in which they are shown."""
    if bundle.backend == SLURM:
        agents = [launcher.log for launcher in launchers(bundle, run)]
        told = (bundle.folder / run.log_folder / OUTPUT_FILE, bundle.logs / JOB_LOG.format(job=run.job))
        return (*dict.fromkeys(told), *agents) if rank is None else tuple(agents)
    if rank is None:
        agents = [launcher.log for launcher in launchers(bundle, run)] if bundle.backend == SSH else []
        return (bundle.folder / run.log_folder / OUTPUT_FILE, *agents)
    folder = _rank_folder(bundle, run, rank)
    return () if folder is None else tuple(folder / name for name in STREAMS)


def _of_rank(lines: Iterator[str], rank: int) -> Iterator[str]:
    """Those that torchrun put the rank before."""
    prefix = RANK_PREFIX.format(rank=rank)
    return (line.removeprefix(prefix) for line in lines if line.startswith(prefix))


def _rank_folder(bundle: BundleFolder, run: Run, rank: int) -> Path | None:
    """Ranks follow each other through the launchers, each of which counts its own from 0."""
    for launcher in launchers(bundle, run):
        num_ranks = _num_ranks(launcher.ranks)
        if rank < num_ranks:
            return rank_folder(launcher.ranks, rank)
        rank -= num_ranks
    return None


def _num_ranks(ranks: Path) -> int:
    first = rank_folder(ranks, 0)
    return 0 if first is None else sum(path.name.isdigit() for path in first.parent.iterdir())


def _new(path: Path, positions: dict[Path, int], *, is_over: bool) -> Iterator[str]:
    """What was added to a file since the last call, in whole lines; half of one waits for its rest."""
    try:
        with path.open("rb") as file:
            file.seek(positions.get(path, 0))
            for line in file:
                if not line.endswith(b"\n") and not is_over:
                    return
                positions[path] = positions.get(path, 0) + len(line)
                yield line.decode("utf-8", errors="replace")
    except FileNotFoundError:
        return
