"""Which rank failed first, and what it said last.

When one rank dies, its peers fail on the broken connection in the same tenth of a second, and torchrun names the lowest
rank of those that it found dead at once. The order is therefore told by the files: a rank writes its error before it
goes, and its peers fail after that.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crosszone.core.run import RunFailure

NUM_LINES = 30
READ_BYTES = 1 << 18
"""Of the end of a log. Chosen: thirty lines, and the table of a thousand ranks, are in it."""
FAILED_RANK = re.compile(
    r"^ *rank +: (?P<rank>\d+) \(local_rank: (?P<local_rank>\d+)\)\n *exitcode +: (?P<exit_code>-?\d+) ", re.MULTILINE
)
"""As torchrun prints each rank that failed (torch 2.13, distributed/elastic/multiprocessing/errors/__init__.py)."""
ASKED_TO_END = (-signal.SIGTERM, 128 + signal.SIGTERM)
"""torchrun ends the other ranks so, and our trainer answers with the second."""
LOST_PEER = re.compile(
    r"connection (was )?(closed|reset|refused) by (the )?(remote )?peer|connection reset|broken pipe"
    r"|remote process exited|connectFullMesh failed|peer closed|NCCL_?\w* ?(remote|internal) error|timed out waiting",
    re.IGNORECASE,
)
"""What gloo, NCCL and sockets say where another rank has gone."""
ATTEMPT = re.compile(r"attempt_(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LauncherOutput:
    """What one torchrun left."""

    log: Path
    """Its own words, and all ranks' where they are shown."""
    ranks: Path
    """Its log folder: RENDEZVOUS/attempt_N/LOCAL_RANK/{stdout,stderr}.log."""
    begins: int = 0
    """Bytes of `log` that an earlier run left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _FailedRank:
    rank: int
    exit_code: int
    num_restarts: int
    log: Path
    lines: tuple[str, ...]
    wrote_seconds: float
    """When it wrote its last words, since 1970."""

    @property
    def order(self) -> tuple[bool, bool, float]:
        """First the ranks that were not asked to end, of these the ones that do not speak of a lost peer."""
        is_consequence = any(LOST_PEER.search(line) for line in self.lines)
        return self.exit_code in ASKED_TO_END, is_consequence, self.wrote_seconds


def first_failure(
    launchers: Iterable[LauncherOutput], *, output: Path, folder: Path, exit_code: int | None
) -> RunFailure:
    """What failed first in a run whose launchers left this; where no rank did, the program that started them.

    `output` is what that program said, and `exit_code` how it ended; paths in the result are relative to `folder`.
    """
    launchers = tuple(launchers)
    failed = sorted((each for launcher in launchers for each in _failed_ranks(launcher)), key=lambda each: each.order)
    if failed:
        first = failed[0]
        return RunFailure(
            rank=first.rank,
            exit_code=first.exit_code,
            num_restarts=first.num_restarts,
            log=_relative(first.log, folder),
            lines=first.lines,
        )
    return RunFailure(
        rank=None,
        exit_code=exit_code,
        num_restarts=max((_newest_attempt(launcher.ranks)[0] for launcher in launchers), default=0),
        log=_relative(output, folder),
        lines=last_lines(output),
    )


def last_lines(path: Path, num_lines: int = NUM_LINES) -> tuple[str, ...]:
    """The last lines of a log; none where it is not there."""
    return tuple(_end(path).splitlines()[-num_lines:])


def rank_folder(ranks: Path, local_rank: int) -> Path | None:
    """Where the newest start of a rank writes; None where it has not."""
    attempt = _newest_attempt(ranks)[1]
    found = None if attempt is None else attempt / str(local_rank)
    return found if found is not None and found.is_dir() else None


def _failed_ranks(launcher: LauncherOutput) -> Iterator[_FailedRank]:
    num_restarts, _ = _newest_attempt(launcher.ranks)
    found = {int(match["rank"]): match for match in FAILED_RANK.finditer(_end(launcher.log, launcher.begins))}
    for rank, match in found.items():
        folder = rank_folder(launcher.ranks, int(match["local_rank"]))
        log = _log_with_words(folder) or launcher.log
        yield _FailedRank(
            rank=rank,
            exit_code=int(match["exit_code"]),
            num_restarts=num_restarts,
            log=log,
            lines=last_lines(log),
            wrote_seconds=log.stat().st_mtime,
        )


def _log_with_words(folder: Path | None) -> Path | None:
    """Standard error of a rank, or its output where it wrote no error."""
    for name in ("stderr.log", "stdout.log"):
        path = None if folder is None else folder / name
        if path is not None and path.is_file() and path.stat().st_size:
            return path
    return None


def _newest_attempt(ranks: Path) -> tuple[int, Path | None]:
    """(starts before it, its folder)."""
    found = [
        (path.parent.stat().st_mtime_ns, int(match[1]), path)
        for path in ranks.glob("*/attempt_*")
        if (match := ATTEMPT.fullmatch(path.name))
    ]
    if not found:
        return 0, None
    _, attempt, path = max(found)
    return attempt, path


def _end(path: Path, begins: int = 0) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - READ_BYTES, begins))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
