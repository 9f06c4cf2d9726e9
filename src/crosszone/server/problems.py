"""What goes wrong, as RFC 9457 tells it: application/problem+json, its title in the reader's language."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import Response

from crosszone import words
from crosszone.errors import (
    Busy,
    Conflict,
    CrossZoneError,
    Finding,
    InfeasiblePlan,
    NotThere,
    PreflightFailed,
    SpecError,
    Stale,
)
from crosszone.server.languages import CHINESE, ENGLISH, language, language_headers
from crosszone.server.pointer import pointer

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:crosszone:problem:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of problem."""

    name: str
    status: int
    english: str
    chinese: str

    @property
    def type(self) -> str:
        """Its URI."""
        return TYPE_PREFIX + self.name


MALFORMED = Kind(name="malformed", status=400, english="The request cannot be read", chinese="无法读取请求")
NO_TOKEN = Kind(name="no-token", status=401, english="A token is needed", chinese="需要访问令牌")
FORBIDDEN = Kind(name="forbidden", status=403, english="Not with this token", chinese="访问令牌权限不足")
NOT_FOUND = Kind(name="not-found", status=404, english="There is no such thing here", chinese="找不到所请求的内容")
WRONG_METHOD = Kind(name="wrong-method", status=405, english="Not with this method", chinese="不支持该请求方法")
CONFLICT = Kind(name="conflict", status=409, english="What is there stands against it", chinese="与现有数据冲突")
CHANGED = Kind(name="changed", status=412, english="It has been changed meanwhile", chinese="数据已被他人修改")
UNFINISHED = Kind(name="unfinished", status=409, english="It has not come to an end", chinese="操作尚未完成")
TOO_SLOW = Kind(name="too-slow", status=408, english="The request took too long to arrive", chinese="请求接收超时")
TOO_LARGE = Kind(name="too-large", status=413, english="The request is too large", chinese="请求过大")
WRONG_TYPE = Kind(name="wrong-type", status=415, english="Not in this format", chinese="不支持该请求格式")
WRONG_HOST = Kind(
    name="wrong-host", status=421, english="Not meant for this server", chinese="请求的主机名不属于本服务器"
)
INVALID = Kind(name="invalid", status=422, english="What was sent is wrong", chinese="提交的内容有误")
INFEASIBLE = Kind(name="infeasible", status=422, english="Legal, but it cannot work", chinese="合法，但无法实现")
INTERNAL = Kind(name="internal", status=500, english="A mistake of ours", chinese="服务器内部错误")
BUSY = Kind(name="busy", status=503, english="Too much to do at the moment", chinese="服务器繁忙，请稍后再试")
UNAVAILABLE = Kind(name="unavailable", status=503, english="Something is missing here", chinese="服务暂不可用")
TOO_LONG = Kind(name="too-long", status=503, english="It would take too long", chinese="计算时间过长")

KINDS = (
    *(MALFORMED, NO_TOKEN, FORBIDDEN, NOT_FOUND, WRONG_METHOD, TOO_SLOW, UNFINISHED, TOO_LARGE),
    *(WRONG_TYPE, WRONG_HOST, CONFLICT, CHANGED),
    *(INVALID, INFEASIBLE, INTERNAL, BUSY, UNAVAILABLE, TOO_LONG),
)
_BY_TYPE: tuple[tuple[type[CrossZoneError], Kind], ...] = (
    (NotThere, NOT_FOUND),
    (Busy, BUSY),
    (Stale, CHANGED),
    (Conflict, CONFLICT),
    (SpecError, INVALID),
    (InfeasiblePlan, INFEASIBLE),
    (PreflightFailed, UNAVAILABLE),
)
KEY_REUSED = "key_reused"
"""Of a finding: draft-ietf-httpapi-idempotency-key-header-07, section 2.7, has 422 for it."""


class Refused(Exception):
    """An answer that is a problem. `headers` go with it; `body` is the request that pointers lead into."""

    def __init__(
        self, kind: Kind, *findings: Finding, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        assert findings, "a problem without a finding tells nobody anything"
        super().__init__(kind, *findings)
        self.kind = kind
        self.findings: Sequence[Finding] = findings
        self.body = body
        self.headers = dict(headers or {})
        self.members: dict[str, Any] = {}
        """What else the problem says (RFC 9457, section 3.2), for clients that know no problems."""

    @classmethod
    def of(cls, kind: Kind, message: str, *, where: str = "", hint: str = "", **more: Any) -> Refused:
        """A problem with one finding, whose code is the kind's name."""
        finding = Finding(code=kind.name.replace("-", "_"), message=message, where=where, hint=hint)
        return cls(kind, finding, **more)


def refused(error: CrossZoneError, body: Any = None) -> Refused:
    """The problem that an error of ours is."""
    kind = next((kind for of_type, kind in _BY_TYPE if isinstance(error, of_type)), INTERNAL)
    is_reused = error.findings[0].code == KEY_REUSED
    headers = {"Retry-After": "1"} if kind in (BUSY, UNAVAILABLE) else None
    return Refused(INVALID if is_reused else kind, *error.findings, body=body, headers=headers)


def mistake(request_id: str) -> Refused:
    """The problem that a mistake of ours is: what it was is told to the log alone."""
    hint = f"Tell who runs the server; the log says more under {request_id}."
    return Refused.of(INTERNAL, "something went wrong that is not the request's fault.", hint=hint)


def problem_response(refusal: Refused, *, request_id: str, accept_language: str) -> Response:
    """The answer that a problem is."""
    wanted = language(accept_language)
    headers = {**language_headers(wanted), **refusal.headers}
    return Response(
        problem_bytes(refusal, request_id=request_id, wanted=wanted), refusal.kind.status, headers, MEDIA_TYPE
    )


def problem_bytes(refusal: Refused, *, request_id: str, wanted: str) -> bytes:
    """The body of a problem, in the language that is `wanted`."""
    kind = refusal.kind
    errors = [_error_json(finding, refusal.body) for finding in refusal.findings]
    value = {
        "type": kind.type,
        "title": kind.chinese if wanted == CHINESE else kind.english,
        "status": kind.status,
        "detail": _detail(refusal.findings, wanted),
        "instance": f"urn:crosszone:request:{request_id}",
        "errors": errors if wanted == ENGLISH else words.translated(errors, wanted),
        **refusal.members,
    }
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def problem_schema() -> dict[str, Any]:
    """JSON Schema of a problem."""
    text = {"type": "string"}
    error = {
        "type": "object",
        "required": ["code", "message", "where", "hint", "pointer"],
        "properties": {
            "code": {**text, "description": "What kind of error, for programs."},
            "message": {**text, "description": "What is wrong, with the numbers that conflict."},
            "where": {**text, "description": "The place, as cluster.zones[1].nodes[0].gpu; empty where there is none."},
            "hint": {**text, "description": "What to do about it; may be empty."},
            "message_zh": {**text, "description": "The message in Chinese, where there is one."},
            "pointer": {
                "type": ["string", "null"],
                "description": "JSON Pointer (RFC 6901) into the request's body, to the place or to the nearest value "
                "around it; null where the error is not of the body.",
            },
        },
    }
    return {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail", "instance", "errors"],
        "properties": {
            "type": {**text, "format": "uri", "enum": [kind.type for kind in KINDS]},
            "title": {**text, "description": "In English or Chinese, as Accept-Language prefers."},
            "status": {"type": "integer"},
            "detail": {**text, "description": "The first error, for people."},
            "instance": {**text, "format": "uri", "description": "Names the request; the log has the same id."},
            "errors": {"type": "array", "minItems": 1, "items": error},
        },
    }


def _detail(findings: Sequence[Finding], wanted: str) -> str:
    """The first error, for people; in Chinese where it is asked for and the error is known in it."""
    english = str(findings[0]).removeprefix("--")
    chinese = ""
    if wanted == CHINESE:
        chinese = getattr(findings[0], "message_zh", "") or words.sentence(english, wanted) or ""
    if chinese:
        return f"{chinese}（共 {len(findings)} 个问题）" if len(findings) > 1 else chinese
    return f"{english} ({len(findings)} problems)" if len(findings) > 1 else english


def _error_json(finding: Finding, body: Any) -> dict[str, Any]:
    """An option is called as the request calls it, without the dashes of the command line."""
    place = {"where": finding.where.removeprefix("--"), "pointer": pointer(finding.where, body)}
    return {**asdict(finding), **place}
