"""Answers by what was asked: a verb gives the same answer to the same request, so that it is computed once."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Any

from crosszone.server.work import Done

MOST_BYTES = 64 * 2**20
"""Of all that is remembered: some thousand predictions."""


class Answers:
    """The newest answers, as many as `most_bytes` hold."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.num_bytes = 0
        self._found: OrderedDict[bytes, Done] = OrderedDict()

    def get(self, key: bytes) -> Done | None:
        """The answer to a request, where it is remembered."""
        found = self._found.get(key)
        if found is not None:
            self._found.move_to_end(key)
        return found

    def put(self, key: bytes, done: Done) -> None:
        """Remember an answer, and forget those that nobody asked for the longest."""
        before = self._found.pop(key, None)
        self.num_bytes += len(done.content) - (0 if before is None else len(before.content))
        self._found[key] = done
        while self.num_bytes > self.most_bytes:
            _, forgotten = self._found.popitem(last=False)
            self.num_bytes -= len(forgotten.content)


def answer_key(verb: str, request: dict[str, Any]) -> bytes:
    """The same for the same question, in whatever order its keys were sent."""
    text = json.dumps([verb, request], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()
