"""What was answered to requests with an Idempotency-Key, so that a repeated one changes nothing a second time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crosszone.core.codec import to_json
from crosszone.errors import Conflict
from crosszone.store import rows
from crosszone.store.tables import answers

KEPT_SECONDS = 24 * 3600.0
"""An answer is given again for so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, as it was sent."""

    status: int
    headers: dict[str, str]
    body: str


def request_digest(method: str, path: str, body: Any) -> str:
    """What is the same for requests that ask for the same."""
    text = json.dumps([method, path, to_json(body)], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def kept(connection: sa.Connection, owner: str, key: str, digest: str, *, now_seconds: float) -> Answer | None:
    """What was answered to this key of this owner; None where nothing was. Conflict where it was another request."""
    is_it = (answers.c.owner == owner) & (answers.c.key == key)
    row = connection.execute(sa.select(answers).where(is_it)).one_or_none()
    if row is None or row.created_seconds < now_seconds - KEPT_SECONDS:
        return None
    if row.request_digest != digest:
        message = f'the key "{key}" came with another request before.'
        raise Conflict.of(message, where="Idempotency-Key", hint="Take a new key for a new request.", code="key_reused")
    return rows.noun(Answer, row)


def keep(connection: sa.Connection, owner: str, key: str, digest: str, answer: Answer, *, now_seconds: float) -> None:
    """Keep an answer together with what it tells of: both are written, or neither. Answers that are old are dropped."""
    is_it = (answers.c.owner == owner) & (answers.c.key == key)
    is_old = answers.c.created_seconds < now_seconds - KEPT_SECONDS
    connection.execute(sa.delete(answers).where(is_it | is_old))
    made = rows.values(answer, owner=owner, key=key, request_digest=digest, created_seconds=now_seconds)
    connection.execute(sa.insert(answers).values(made))
