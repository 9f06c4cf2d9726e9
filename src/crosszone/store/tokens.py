"""Tokens that requests show: stored as digests only, with what they allow and until when."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

import sqlalchemy as sa

from crosszone.core.access import SCOPES, Caller
from crosszone.store import rows
from crosszone.store.ids import new_id
from crosszone.store.tables import tokens

NUM_BYTES = 32
PREFIX = "cz_"
"""What tokens begin with, so that one that was published by mistake can be searched for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is known of a token; the token itself is known to its owner alone."""

    id: str
    name: str
    scope: str
    """One of `SCOPES`."""
    created_seconds: float
    expires_seconds: float | None
    """None: never."""
    revoked_seconds: float | None = None

    @property
    def caller(self) -> Caller:
        """Who shows it."""
        return Caller(actor=self.name, scope=self.scope, expires_seconds=self.expires_seconds)

    def is_good(self, now_seconds: float) -> bool:
        """Whether it may still be shown."""
        return self.revoked_seconds is None and (self.expires_seconds is None or now_seconds < self.expires_seconds)


def issue(
    connection: sa.Connection, name: str, scope: str, *, now_seconds: float, for_seconds: float | None
) -> tuple[str, Token]:
    """A new token, which is told this once, and what is stored of it."""
    assert scope in SCOPES, scope
    text = PREFIX + secrets.token_urlsafe(NUM_BYTES)
    expires_seconds = None if for_seconds is None else now_seconds + for_seconds
    made = Token(
        id=new_id("token", now_seconds),
        name=name,
        scope=scope,
        created_seconds=now_seconds,
        expires_seconds=expires_seconds,
    )
    return text, rows.add(connection, tokens, made, digest=digest(text))


def found(connection: sa.Connection, text: str, *, now_seconds: float) -> Token | None:
    """What is known of a token that is shown; None where it is unknown, ran out or was revoked.

    It is looked up by its digest, which tells nothing of it by the time that takes.
    """
    row = connection.execute(sa.select(tokens).where(tokens.c.digest == digest(text))).one_or_none()
    token = None if row is None else rows.noun(Token, row)
    return token if token is not None and token.is_good(now_seconds) else None


def revoke(connection: sa.Connection, key: str, *, now_seconds: float) -> Token:
    """Let a token be good no more; once is enough. NotThere."""
    token = rows.one(connection, tokens, Token, key, called="token")
    is_it = (tokens.c.id == key) & tokens.c.revoked_seconds.is_(None)
    connection.execute(sa.update(tokens).where(is_it).values(revoked_seconds=now_seconds))
    return rows.one(connection, tokens, Token, token.id, called="token")


def all_tokens(connection: sa.Connection) -> tuple[Token, ...]:
    """What is known of every token, oldest first."""
    return tuple(rows.noun(Token, row) for row in connection.execute(sa.select(tokens).order_by(tokens.c.id)))


def digest(text: str) -> str:
    """SHA-256; a token has more chance in it than anybody can try, so that a slow digest would buy nothing."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
