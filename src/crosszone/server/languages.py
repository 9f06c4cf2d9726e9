"""The language of an answer: what its reader prefers, of those that we have."""

from __future__ import annotations

import json

from fastapi import Request

from crosszone import words

ENGLISH, CHINESE = "en", "zh"
HEADER = "accept-language"


def language(accept_language: str) -> str:
    """en | zh: what an Accept-Language header prefers of the two; en where it has neither."""
    weights = {ENGLISH: 0.0, CHINESE: 0.0}
    for part in accept_language.split(","):
        tag, _, parameter = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        if primary in weights:
            weights[primary] = max(weights[primary], _weight(parameter))
    return CHINESE if weights[CHINESE] > weights[ENGLISH] else ENGLISH


def language_headers(told: str) -> dict[str, str]:
    """Of an answer in the language `told`, which would be another one for another reader."""
    return {"Content-Language": told, "Vary": "Accept-Language"}


def told(request: Request, content: bytes) -> tuple[bytes, dict[str, str]]:
    """An answer in JSON as its reader prefers it, and its headers.

    What computes and what remembers answers knows English alone.
    """
    wanted = language(request.headers.get(HEADER, ""))
    if wanted == ENGLISH:
        return content, language_headers(wanted)
    value = words.translated(json.loads(content), wanted)
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode(), language_headers(wanted)


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
