"""What the user interface must know of its server before anything else. It says nothing that is not for everybody."""

from __future__ import annotations

import dataclasses

from crosszone.server.body import MOST_BYTES


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """How to talk to this server."""

    schema_version: int = 1
    version: str
    """Of the program."""
    api_path: str
    """Where the API begins, at the origin that served the user interface."""
    is_token_needed: bool
    """Whether requests must show a token."""
    is_demo: bool
    """Whether it is for trying out: anybody may ask, and nothing that they do is kept."""
    languages: tuple[str, ...] = ("en", "zh")
    """In which it tells of problems."""
    most_body_bytes: int = MOST_BYTES
    """Of a request."""
