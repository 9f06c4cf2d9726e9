"""Who computes: quick questions do not wait behind long ones, and none is computed twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from crosszone.errors import CrossZoneError
from crosszone.server.answers import Answers, answer_key
from crosszone.server.pool import Call, Pool
from crosszone.server.problems import refused
from crosszone.server.verb import Verb
from crosszone.server.work import Done, OnProgress

QUICK_SECONDS, LONG_SECONDS, OPERATION_SECONDS = 30.0, 120.0, 1800.0
"""Most that an answer may take to compute; the last where nobody holds a connection open for it."""
QUICK_WAITING, LONG_WAITING = 64, 8
"""Most requests before each worker."""
LONG_NICENESS = 10
"""Long questions give way to quick ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """The workers of a server."""

    quick: Pool
    long: Pool
    answers: Answers = field(default_factory=Answers)

    async def answer(self, verb: Verb, request: dict[str, Any]) -> Done:
        """The answer of a verb. Refused."""
        key = answer_key(verb.name, request)
        found = self.answers.get(key)
        if found is not None:
            return found
        return await self._kept(self._pool(verb).call(verb.name, request), key, request)

    def begin(self, verb: Verb, request: dict[str, Any], on_start: Callable[[], None], on_progress: OnProgress) -> Call:
        """Let a verb begin for which nobody waits. Refused where too many wait already."""
        return self._pool(verb).call(
            verb.name, request, limit_seconds=OPERATION_SECONDS, on_start=on_start, on_progress=on_progress
        )

    async def ended(self, call: Call, verb: Verb, request: dict[str, Any]) -> Done:
        """The answer of a verb that has begun. Refused; CancelledError where it was given up."""
        return await self._kept(call, answer_key(verb.name, request), request)

    @property
    def is_ready(self) -> bool:
        """Whether all workers have loaded what they need."""
        return self.quick.is_ready and self.long.is_ready

    def _pool(self, verb: Verb) -> Pool:
        return self.long if verb.is_long else self.quick

    async def _kept(self, call: Call, key: bytes, request: dict[str, Any]) -> Done:
        try:
            done = await call.answer()
        except CrossZoneError as error:
            raise refused(error, request) from None
        self.answers.put(key, done)
        return done


def pools(num_workers: int | None = None) -> Pools:
    """The workers of a server; not started yet."""
    number = num_workers or os.cpu_count() or 1
    return Pools(
        quick=Pool(num_workers=number, num_waiting=QUICK_WAITING * number, limit_seconds=QUICK_SECONDS),
        long=Pool(
            num_workers=number,
            num_waiting=LONG_WAITING * number,
            limit_seconds=LONG_SECONDS,
            niceness=LONG_NICENESS,
        ),
    )
