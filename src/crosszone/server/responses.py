"""Answers as HTTP carries them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from fastapi import Request, Response

from crosszone.server.work import GZIP, Done


def done_response(done: Done) -> Response:
    """The answer of a verb; an archive is a file to save."""
    saved = {"Content-Disposition": f'attachment; filename="{done.file_name}"'}
    headers = saved if done.media_type == GZIP else None
    return Response(done.content, media_type=done.media_type, headers=headers)


def etag_response(request: Request, content: bytes, media: str, headers: Mapping[str, str] | None = None) -> Response:
    """`content`, or 304 where the client has it already."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    told = {"ETag": tag, "Cache-Control": "no-cache", **(headers or {})}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=told)
    return Response(content, media_type=media, headers=told)
