"""Operations: verbs that nobody holds a connection open for. They are asked after, followed and given up."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
import time
from collections import OrderedDict
from typing import Any

from crosszone.server.answers import answer_key
from crosszone.server.pools import Pools
from crosszone.server.problems import INVALID, NOT_FOUND, UNFINISHED, Refused, mistake
from crosszone.server.sse import MemoryLog
from crosszone.server.verb import Verb
from crosszone.server.work import Done

logger = logging.getLogger(__name__)

WAITING, RUNNING, SUCCEEDED, FAILED, CANCELLED = "waiting", "running", "succeeded", "failed", "cancelled"
STATES = (WAITING, RUNNING, SUCCEEDED, FAILED, CANCELLED)
OVER = frozenset({SUCCEEDED, FAILED, CANCELLED})
MOST_KEPT = 1000
"""Operations that are remembered after they are over."""
MOST_BYTES = 256 * 2**20
"""Of all results that are remembered."""
LEAST_PROGRESS_FRACTION = 0.005
"""What must be new before it is told."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One verb at work. Moments are seconds since 1970, UTC."""

    schema_version: int = 1
    id: str
    verb: str
    state: str
    """waiting | running | succeeded | failed | cancelled"""
    progress_fraction: float | None
    """Of the work that is done; null where the verb does not tell."""
    created_seconds: float
    started_seconds: float | None = None
    ended_seconds: float | None = None


class _Entry:
    """An operation with what belongs to it."""

    def __init__(self, operation: Operation, key: bytes) -> None:
        self.operation = operation
        self.key = key
        """Of the question."""
        self.log = MemoryLog()
        self.outcome: Done | Refused | None = None
        self.task: asyncio.Task[None]
        self.give_up: Any = None

    @property
    def num_bytes(self) -> int:
        return len(self.outcome.content) if isinstance(self.outcome, Done) else 0

    def change(self, kind: str, **values: Any) -> None:
        """Write down a change; its event tells all of the operation."""
        self.operation = dataclasses.replace(self.operation, **values)
        self.log.add(kind, dataclasses.asdict(self.operation))
        if self.operation.state in OVER:
            self.log.end()


class Operations:
    """The operations of one server, in memory: they end with it."""

    def __init__(self, workers: Pools, *, most_kept: int = MOST_KEPT, most_bytes: int = MOST_BYTES) -> None:
        self.workers = workers
        self.most_kept = most_kept
        self.most_bytes = most_bytes
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._by_key: dict[str, str] = {}
        """Ids by the Idempotency-Key that they were asked for with."""

    def begin(self, verb: Verb, request: dict[str, Any], *, idempotency_key: str = "") -> Operation:
        """Let a verb begin, or the operation that the same key began. Refused where too many wait already."""
        key = answer_key(verb.name, request)
        known = self._known(idempotency_key, key)
        if known is not None:
            return known
        operation = Operation(
            id=secrets.token_hex(16), verb=verb.name, state=WAITING, progress_fraction=None, created_seconds=time.time()
        )
        entry = _Entry(operation, key)
        call = self.workers.begin(verb, request, lambda: _start(entry), lambda fraction: _progress(entry, fraction))
        entry.give_up = call.give_up
        entry.change("state")
        self._entries[operation.id] = entry
        if idempotency_key:
            self._by_key[idempotency_key] = operation.id
        entry.task = asyncio.ensure_future(self._follow(entry, self.workers.ended(call, verb, request)))
        self._forget()
        return operation

    def get(self, operation_id: str) -> Operation:
        """How an operation stands. Refused where there is none."""
        return self._entry(operation_id).operation

    def log(self, operation_id: str) -> MemoryLog:
        """What happened to an operation. Refused where there is none."""
        return self._entry(operation_id).log

    def result(self, operation_id: str) -> Done:
        """What came of an operation. Refused as the verb was, or where it has not come to an end."""
        entry = self._entry(operation_id)
        if entry.outcome is None:
            hint = f"Ask for its events, or again later; it is {entry.operation.state}."
            raise Refused.of(UNFINISHED, f"operation {operation_id} has no result.", hint=hint)
        if isinstance(entry.outcome, Refused):
            raise entry.outcome
        return entry.outcome

    def cancel(self, operation_id: str) -> Operation:
        """Give an operation up; one that is over stays as it is. Refused where there is none."""
        entry = self._entry(operation_id)
        if entry.operation.state not in OVER:
            entry.give_up()
            entry.change("state", state=CANCELLED, ended_seconds=time.time())
        return entry.operation

    def close(self) -> None:
        """Give up all that are not over, so that nobody waits for their events."""
        for operation_id in list(self._entries):
            self.cancel(operation_id)

    def _known(self, idempotency_key: str, key: bytes) -> Operation | None:
        entry = self._entries.get(self._by_key.get(idempotency_key, ""))
        if entry is None:
            return None
        if entry.key != key:
            hint = "Take a new key for a new request."
            raise Refused.of(INVALID, "it came with another request before.", where="Idempotency-Key", hint=hint)
        return entry.operation

    def _entry(self, operation_id: str) -> _Entry:
        entry = self._entries.get(operation_id)
        if entry is None:
            hint = "Operations end with the server, and the oldest are forgotten: ask again for what it did."
            raise Refused.of(NOT_FOUND, f"there is no operation {operation_id[:60]}.", hint=hint)
        return entry

    async def _follow(self, entry: _Entry, ended: Any) -> None:
        """Wait for what comes of an operation and write it down."""
        try:
            entry.outcome = await ended
            state = SUCCEEDED
        except Refused as refusal:
            entry.outcome, state = refusal, FAILED
        except asyncio.CancelledError:
            return  # `cancel` has written it down
        except Exception:  # the log has all of it; the person is told that it is not their fault
            logger.exception("operation %s: a mistake of ours", entry.operation.id)
            entry.outcome, state = mistake(entry.operation.id), FAILED
        if entry.operation.state not in OVER:
            done = 1.0 if state == SUCCEEDED else entry.operation.progress_fraction
            entry.change("state", state=state, progress_fraction=done, ended_seconds=time.time())
        self._forget()

    def _forget(self) -> None:
        """Forget the oldest that are over where there are too many, or their results too large."""
        over = [entry for entry in self._entries.values() if entry.operation.state in OVER]
        num_bytes = sum(entry.num_bytes for entry in over)
        for place, entry in enumerate(over):
            if len(over) - place <= self.most_kept and num_bytes <= self.most_bytes:
                break
            num_bytes -= entry.num_bytes
            del self._entries[entry.operation.id]
        self._by_key = {key: known for key, known in self._by_key.items() if known in self._entries}


def _start(entry: _Entry) -> None:
    if entry.operation.state == WAITING:
        entry.change("state", state=RUNNING, started_seconds=time.time())


def _progress(entry: _Entry, fraction: float) -> None:
    before = entry.operation.progress_fraction or 0.0
    if entry.operation.state == RUNNING and fraction - before >= LEAST_PROGRESS_FRACTION:
        entry.change("progress", progress_fraction=min(fraction, 1.0))
