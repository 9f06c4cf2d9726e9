"""The web user interface: files built into the package, sent from memory for each address that is not the API's."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

API_PREFIXES = ("/api/", "/healthz", "/readyz", "/metrics")
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # positions and sizes that are computed; no script comes of it
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
HASHED = "assets/"
"""Folder of the files whose names change with their content."""
FOREVER = "public, max-age=31536000, immutable"
FEWEST_COMPRESSED_BYTES = 1000
INDEX = "index.html"
NOT_BUILT = """<!doctype html><meta charset="utf-8"><title>CrossZone</title>
<p>The API answers under <a href="/api/v1/openapi.json">/api/v1</a>. The web user interface was not built into this
installation: <code>make web</code> does it, in a copy of the source; then start the server again.</p>
<p lang="zh">API 位于 /api/v1。本次安装未包含网页界面：请在源码目录执行 <code>make web</code>，再重启服务器。</p>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFile:
    """One file, ready to be sent."""

    content: bytes
    packed: bytes | None
    """Compressed; None where that saves nothing."""
    media_type: str
    tag: str
    cache_control: str


class WebFiles:
    """ASGI application that answers with the files of a folder; an address without a file is a page of `index.html`."""

    def __init__(self, folder: Traversable | None = None) -> None:
        """`folder`: where they were built; that of the package where None. It need not be there."""
        folder = files("crosszone.server").joinpath("web") if folder is None else folder
        self.files = _read(folder, "") if folder.is_dir() else {}

    @property
    def is_built(self) -> bool:
        """Whether there is a user interface."""
        return INDEX in self.files

    def has(self, method: str, path: str) -> bool:
        """Whether a request is for the user interface, not for the API."""
        return method in ("GET", "HEAD") and not path.startswith(API_PREFIXES) and (self.is_built or path == "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = self._response(scope["path"].lstrip("/"), Headers(scope=scope))
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    def _response(self, name: str, asked: Headers) -> Response:
        if not self.is_built:
            return Response(NOT_BUILT, status_code=404, media_type="text/html")
        is_page = "." not in name.rpartition("/")[2]
        file = self.files.get(INDEX if is_page else name)
        if file is None:
            return Response("There is no such file.\n", status_code=404, media_type="text/plain")
        headers = {"ETag": file.tag, "Cache-Control": file.cache_control, "Vary": "Accept-Encoding"}
        if file.tag in asked.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if file.packed is not None and "gzip" in asked.get("accept-encoding", ""):
            return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
        return Response(file.content, headers=headers, media_type=file.media_type)


def _read(folder: Traversable, prefix: str) -> dict[str, WebFile]:
    found: dict[str, WebFile] = {}
    for entry in folder.iterdir():
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            found |= _read(entry, f"{name}/")
        else:
            found[name] = _file(name, entry.read_bytes())
    return found


def _file(name: str, content: bytes) -> WebFile:
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = gzip.compress(content, mtime=0) if len(content) >= FEWEST_COMPRESSED_BYTES else content
    return WebFile(
        content=content,
        packed=packed if len(packed) < 0.9 * len(content) else None,
        media_type="text/javascript" if name.endswith(".js") else media_type,
        tag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        cache_control=FOREVER if name.startswith(HASHED) else "no-cache",
    )
