"""Answers as HTTP carries them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from fastapi import Request, Response

from crosszone.server.languages import told
from crosszone.server.work import JSON, Done


def done_response(request: Request, done: Done) -> Response:
    """The answer of a verb, in the reader's language; what is no JSON is a file to save."""
    if done.media_type != JSON:
        saved = {"Content-Disposition": f'attachment; filename="{done.file_name}"'}
        return Response(done.content, media_type=done.media_type, headers=saved)
    content, headers = told(request, done.content)
    return Response(content, media_type=done.media_type, headers=headers)


def etag_response(request: Request, content: bytes, media: str, headers: Mapping[str, str] | None = None) -> Response:
    """`content`, or 304 where the client has it already."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    sent = {"ETag": tag, "Cache-Control": "no-cache", **(headers or {})}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=sent)
    return Response(content, media_type=media, headers=sent)
