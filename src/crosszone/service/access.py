"""Who may ask for what, and how much they may use: tokens, quotas, and the log of who changed what."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crosszone.core.access import LOCAL, SCOPES, VIEWER, Caller
from crosszone.errors import Finding, SpecError, nearest_hint

if TYPE_CHECKING:
    from crosszone.store.database import Connection
    from crosszone.store.journal import AuditEntry
    from crosszone.store.opened import Store
    from crosszone.store.tokens import Token

NAME = re.compile(r"\w[\w.@-]{0,99}(/\w[\w.@-]{0,99})?")
FILE_PREFIX = "token-"
"""What those are called whose token is in a file, and not in the database."""
RESERVED = (LOCAL, "server")
"""Who else does things: nobody can be given their name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A new token; nobody can be told it again."""

    schema_version: int = 1
    text: str
    """What requests show."""
    token: Token

    @property
    def id(self) -> str:
        """Of the token."""
        return self.token.id


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaUse:
    """A quota, and how much of it is used now."""

    owner: str
    """PERSON, TEAM/PERSON, or TEAM with all of its people."""
    resource: str
    """gpus | tasks | dollars_per_hour"""
    most: float
    used: float | None
    """By tasks that have begun; None where a price is unknown."""


def issue_token(store: Store, entry: Mapping[str, Any]) -> IssuedToken:
    """A new token for `name`, with a `scope`, good for as long as `expires` says, or for ever where it is absent.

    Who has two tokens under one name is one person. SpecError with everything that is wrong.
    """
    from crosszone.store import tokens

    findings = [*_key_findings(entry, ("name", "scope", "expires")), *_name_findings(entry.get("name"), "name")]
    scope = entry.get("scope", VIEWER)
    if scope not in SCOPES:
        hint = nearest_hint(str(scope), SCOPES, max_listed=len(SCOPES))
        message = f'there is no scope "{str(scope)[:100]}".'
        findings.append(Finding(code="unknown_name", message=message, where="scope", hint=hint))
    try:
        written = entry.get("expires")
        for_seconds = None if written is None else lifetime_seconds(written, where="expires")
    except SpecError as error:
        findings += error.findings
    if findings:
        raise SpecError(*findings)
    with store.state.writing() as connection:
        text, token = tokens.issue(connection, entry["name"], scope, now_seconds=time.time(), for_seconds=for_seconds)
    return IssuedToken(text=text, token=token)


def all_tokens(store: Store) -> tuple[Token, ...]:
    """What is known of every token, oldest first; the tokens themselves are known to nobody."""
    from crosszone.store import tokens

    with store.state.reading() as connection:
        return tokens.all_tokens(connection)


def revoke_token(store: Store, key: str) -> Token:
    """Let a token be good no more; once is enough. NotThere."""
    from crosszone.store import tokens

    with store.state.writing() as connection:
        return tokens.revoke(connection, key, now_seconds=time.time())


def caller(store: Store, text: str) -> Caller | None:
    """Who shows this token; None where it is unknown, ran out or was revoked."""
    from crosszone.store import tokens

    with store.state.reading() as connection:
        found = tokens.found(connection, text, now_seconds=time.time())
    return None if found is None else found.caller


def has_good_token(store: Store) -> bool:
    """Whether anybody has a token of the database that may still be shown."""
    now_seconds = time.time()
    return any(each.is_good(now_seconds) for each in all_tokens(store))


def quotas(store: Store) -> tuple[QuotaUse, ...]:
    """All quotas, by owner and resource, and how much of each is used."""
    with store.state.reading() as connection:
        return _uses(connection)


def set_quota(store: Store, entry: Mapping[str, Any]) -> tuple[QuotaUse, ...]:
    """Say how much of a `resource` an `owner` may use, at `most`; None: as much as there is. All quotas then.

    It holds for what starts from now on; what runs is left alone. SpecError with everything that is wrong.
    """
    from crosszone.store import reservations

    _check_quota(entry)
    owner, resource, most = entry["owner"], entry["resource"], entry["most"]
    with store.state.writing() as connection:
        if most is None:
            reservations.remove_quota(connection, owner, resource)
        else:
            quota = reservations.Quota(owner=owner, resource=resource, most=float(most))
            reservations.set_quota(connection, quota)
        return _uses(connection)


def audit_log(store: Store, *, before: int | None = None, limit: int = 100) -> tuple[AuditEntry, ...]:
    """The newest lines of the audit log, or the newest before the one with this number; newest first."""
    from crosszone.store import journal

    with store.state.reading() as connection:
        return journal.audit_before(connection, before, limit=limit)


def token_json(token: Token) -> dict[str, Any]:
    """What is known of a token, and whether it may still be shown."""
    from crosszone.core.codec import to_json

    return {**to_json(token), "is_good": token.is_good(time.time())}


def quotas_json(found: Sequence[QuotaUse]) -> dict[str, Any]:
    """Quotas JSON."""
    from crosszone.core.codec import to_json

    return {"schema_version": 1, "quotas": to_json(tuple(found))}


def lifetime_seconds(written: object, *, where: str) -> float:
    """How long something is good or kept, as a person wrote it: "90 d". SpecError, at `where`."""
    from crosszone import units

    hint = 'Write how long, as "90 d".'
    try:
        seconds = units.parse(written, "seconds")
    except SpecError as error:
        raise SpecError(
            *(
                # Whoever writes 90 means days: with seconds, as the parser proposes, all would soon be gone.
                replace(each, where=where, hint=hint if each.code == "no_unit" else each.hint)
                for each in error.findings
            )
        ) from None
    if seconds <= 0:
        raise SpecError.of(f'time "{written}" is not above 0.', where=where, hint=hint)
    return seconds


def _uses(connection: Connection) -> tuple[QuotaUse, ...]:
    from crosszone.control.admission import used
    from crosszone.store import environments, queue, reservations

    begun = queue.begun(connection)
    places = sorted({node.environment_id for task in begun for node in task.nodes if node.environment_id})
    known = {each.id: each for each in environments.by_id(connection, places)}
    return tuple(
        QuotaUse(owner=each.owner, resource=each.resource, most=each.most, used=used(each, begun, known))
        for each in reservations.all_quotas(connection)
    )


def _check_quota(entry: Mapping[str, Any]) -> None:
    """SpecError with everything that is wrong."""
    from crosszone.control.admission import RESOURCES

    findings = [*_key_findings(entry, ("owner", "resource", "most"))]
    findings += _name_findings(entry.get("owner"), "owner", may_be_reserved=True)
    resource, most = entry.get("resource"), entry.get("most")
    if resource not in RESOURCES:
        message, hint = f'there is no resource "{str(resource)[:100]}".', f"Write {', '.join(RESOURCES)}."
        findings.append(Finding(code="unknown_name", message=message, where="resource", hint=hint))
    is_number = isinstance(most, int | float) and not isinstance(most, bool) and math.isfinite(most) and most >= 0
    if "most" not in entry or not (most is None or is_number):
        message = "most is no number from 0 on, and not null." if "most" in entry else "most is missing."
        hint = "Write how much may be used, or null for as much as there is."
        findings.append(Finding(code="wrong_type", message=message, where="most", hint=hint))
    if findings:
        raise SpecError(*findings)


def _key_findings(entry: Mapping[str, Any], known: tuple[str, ...]) -> list[Finding]:
    return [
        Finding(code="unknown_key", message=f'unknown key "{key[:50]}".', where=key, hint=nearest_hint(key, known))
        for key in entry
        if key not in known
    ]


def _name_findings(name: Any, where: str, *, may_be_reserved: bool = False) -> list[Finding]:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        message = f'"{str(name)[:100]}" is no name.' if name is not None else f"{where} is missing."
        hint = "Write PERSON or TEAM/PERSON, of letters, digits and . _ @ -, up to 100 each."
        return [Finding(code="wrong_name", message=message, where=where, hint=hint)]
    if not may_be_reserved and (name in RESERVED or name.startswith(FILE_PREFIX)):
        message = f'"{name}" is somebody else in the audit log.'
        return [Finding(code="wrong_name", message=message, where=where, hint="Take another name.")]
    return []
