"""What the routes of tokens, quotas and the audit log say of themselves."""

from __future__ import annotations

from crosszone.core.access import ADMIN, SCOPES
from crosszone.server.routes import Told
from crosszone.server.schemas import reference
from crosszone.server.work import JSON

_TEXT = {"type": "string"}
_CHANGE = (400, 408, 413, 415)
_TOKEN = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {**_TEXT, "description": "PERSON or TEAM/PERSON; who has two tokens under one name is one person."},
        "scope": {**_TEXT, "enum": list(SCOPES), "description": "viewer where absent."},
        "expires": {"type": ["string", "null"], "description": "How long it is good; for ever where absent."},
    },
    "examples": [{"name": "vision/ann", "scope": "operator", "expires": "90 d"}],
}
_QUOTA = {
    "type": "object",
    "required": ["owner", "resource", "most"],
    "properties": {
        "owner": {**_TEXT, "description": "PERSON, TEAM/PERSON, or TEAM with all of its people."},
        "resource": {**_TEXT, "enum": ["gpus", "tasks", "dollars_per_hour"]},
        "most": {"type": ["number", "null"], "minimum": 0, "description": "null: as much as there is."},
    },
    "examples": [{"owner": "vision", "resource": "gpus", "most": 16}],
}
ACCESS_ROUTES = {
    "access": Told(
        summary="Who asks, and what they may do",
        contents={JSON: reference("Caller")},
    ),
    "token_list": Told(
        summary="What is known of every token",
        description="The tokens themselves are known to nobody.",
        contents={JSON: reference("TokenList")},
        scope=ADMIN,
    ),
    "token_create": Told(
        summary="Make a token",
        description="`text` is told this once. No Idempotency-Key: an answer that is kept would keep the token.",
        contents={JSON: reference("IssuedToken")},
        errors=_CHANGE,
        status=201,
        body=_TOKEN,
        scope=ADMIN,
    ),
    "token_revoke": Told(
        summary="Let a token be good no more",
        description="Within a second. Revoking again changes nothing.",
        contents={},
        errors=(404,),
        status=204,
        scope=ADMIN,
    ),
    "quota_list": Told(
        summary="How much each may use, and uses now",
        contents={JSON: reference("QuotaList")},
    ),
    "quota_set": Told(
        summary="Say how much one may use",
        description="It holds for what starts from now on; what runs is left alone.",
        contents={JSON: reference("QuotaList")},
        errors=_CHANGE,
        body=_QUOTA,
        scope=ADMIN,
    ),
    "audit": Told(
        summary="Who changed what, newest first",
        description="`before` is the number of a line: older ones are given.",
        contents={JSON: reference("AuditLog")},
        scope=ADMIN,
    ),
}
