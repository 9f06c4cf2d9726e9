"""Reads the body of a request: bounded, strict, and everything that is wrong with it at once."""

from __future__ import annotations

import asyncio
import json
from pathlib import PurePosixPath
from typing import Any

from fastapi import Request

from crosszone.errors import Finding, nearest_hint
from crosszone.server.problems import INVALID, MALFORMED, TOO_LARGE, TOO_SLOW, WRONG_TYPE, Refused
from crosszone.server.verb import (
    FLAG,
    MOST_CHARACTERS,
    MOST_TEXTS,
    MOST_WHOLES,
    NUMBER,
    OBJECT,
    OBJECTS,
    TEXT,
    TEXT_OR_OBJECT,
    TEXTS,
    WHOLE,
    WHOLES,
    Option,
    Verb,
)

MOST_BYTES = 8 * 2**20
"""Of a body: a plan of many stages with its prediction has some hundred thousand."""
MOST_SECONDS = 30.0
"""Until a body has arrived."""
JSON, CSV = "application/json", "text/csv"
NO_CHECKPOINTS = "none"
_CALLED = {
    FLAG: "true or false",
    WHOLE: "a whole number",
    WHOLES: "a list of whole numbers",
    NUMBER: "a number",
    TEXT: "text",
    TEXTS: "a list of texts",
    OBJECT: "an object",
    OBJECTS: "a list of objects",
    TEXT_OR_OBJECT: "an object or text",
}


async def body_bytes(request: Request) -> bytes:
    """The body, read while it is not too large and not too slow. Refused."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MOST_BYTES:
        raise _too_large(int(declared))
    found = bytearray()
    try:
        async with asyncio.timeout(MOST_SECONDS):
            async for part in request.stream():
                found += part
                if len(found) > MOST_BYTES:
                    raise _too_large(len(found))
    except TimeoutError:
        message = f"the body had not arrived after {MOST_SECONDS:g} s."
        raise Refused.of(TOO_SLOW, message, headers={"Connection": "close"}) from None
    return bytes(found)


def media_type(request: Request, *allowed: str) -> str:
    """Which of `allowed` the body is. Refused: a page of another site can send text/plain without being asked."""
    written = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if written in allowed:
        return written
    called = f'it is "{written}"' if written else "there is none"
    message = f"Content-Type says what the body is; {called}."
    raise Refused.of(
        WRONG_TYPE, message, hint=f"Send {' or '.join(allowed)}.", headers={"Accept-Post": ", ".join(allowed)}
    )


def verb_request(data: bytes, verb: Verb) -> dict[str, Any]:
    """What a body asks of `verb`. Refused with everything that is wrong but the job itself."""
    value = _json(data)
    if not isinstance(value, dict):
        hint = f'Send an object, as {{"{verb.options[0].name}": ...}}.'
        raise Refused.of(INVALID, f"the body is {_shown(value)}, not an object.", hint=hint)
    options = {option.name: option for option in verb.options}
    findings = [
        Finding(code="unknown_key", message=f'unknown key "{key}".', where=f"--{key}", hint=nearest_hint(key, options))
        for key in value.keys() - options.keys()
    ]
    for option in verb.options:
        if option.name in value:
            findings += _value_findings(option, value[option.name])
        elif option.is_required:
            message = f"{option.name} is missing."
            findings.append(Finding(code="missing_key", message=message, where=f"--{option.name}", hint=option.meaning))
    findings = findings or _meaning_findings(value, verb)
    if findings:
        raise Refused(INVALID, *findings, body=value)
    return value


async def object_request(request: Request) -> dict[str, Any]:
    """The JSON object that a request sends. Refused where it sends no such thing."""
    media_type(request, JSON)
    value = _json(await body_bytes(request))
    if not isinstance(value, dict):
        raise Refused.of(INVALID, f"the body is {_shown(value)}, not an object.", hint="Send an object.")
    return value


def csv_request(data: bytes, *, all_qualities: bool) -> dict[str, Any]:
    """What a table alone asks of `validate`. Refused where it is not UTF-8."""
    try:
        return {"table": data.decode("utf-8-sig"), "all_qualities": all_qualities}
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is 0x{data[error.start]:02x}, which is not UTF-8."
        raise Refused.of(MALFORMED, message, hint="Save the table as CSV, UTF-8.") from None


def _json(data: bytes) -> Any:
    try:
        value = json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise Refused.of(MALFORMED, f"the body is not UTF-8 text: {error.reason}.", hint="Send UTF-8.") from None
    except RecursionError:
        raise Refused.of(MALFORMED, "the body is nested too deeply.", hint="Send the job as a job file is.") from None
    except ValueError as error:
        place = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise Refused.of(MALFORMED, f"the body is not JSON: {reason}{place}.", hint="Send one JSON object.") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'"{twice[:100]}" is there twice in one object')
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _value_findings(option: Option, value: Any) -> list[Finding]:
    where = f"--{option.name}"
    if not _has_kind(option.kind, value):
        message = f"{option.name} is {_shown(value)}, not {_CALLED[option.kind]}."
        return [Finding(code="wrong_type", message=message, where=where, hint=option.meaning)]
    if option.kind in (WHOLE, WHOLES, NUMBER):
        return _range_findings(option, value, where)
    if option.choices and value not in option.choices:
        message = f"{option.name} is {_shown(value)}."
        return [Finding(code="unknown_name", message=message, where=where, hint=nearest_hint(value, option.choices))]
    if option.kind in (TEXTS, OBJECTS) and len(value) > MOST_TEXTS:
        message = f"{option.name} has {len(value)} entries; at most {MOST_TEXTS} are taken."
        return [Finding(code="too_large", message=message, where=where)]
    longest = max(
        (len(each) for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)), default=0
    )
    if longest > MOST_CHARACTERS and option.name != "table":
        message = f"{option.name} has {longest} characters; at most {MOST_CHARACTERS} are taken."
        return [Finding(code="too_large", message=message, where=where)]
    return []


def _range_findings(option: Option, value: Any, where: str) -> list[Finding]:
    upper = f" to {option.most}" if option.most is not None else " on"
    lower = "above 0" if option.kind == NUMBER else "from 1"
    found = []
    for number in value if option.kind == WHOLES else [value]:
        is_large_enough = number > 0 if option.kind == NUMBER else number >= 1
        if not is_large_enough or (option.most is not None and number > option.most):
            message = f"{option.name} is {_shown(number)}; it goes {lower}{upper}."
            found.append(Finding(code="out_of_range", message=message, where=where))
    if option.kind == WHOLES and not 1 <= len(value) <= MOST_WHOLES:
        message = f"{option.name} has {len(value)} entries; 1 to {MOST_WHOLES} are taken."
        found.append(Finding(code="out_of_range", message=message, where=where))
    return found


def _has_kind(kind: str, value: Any) -> bool:
    if kind == WHOLE:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == WHOLES:
        return isinstance(value, list) and all(_has_kind(WHOLE, each) for each in value)
    if kind == NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind in (TEXTS, OBJECTS):
        item = str if kind == TEXTS else dict
        return isinstance(value, list) and all(isinstance(each, item) for each in value)
    types: dict[str, type | tuple[type, ...]] = {FLAG: bool, TEXT: str, OBJECT: dict, TEXT_OR_OBJECT: (str, dict)}
    return isinstance(value, types[kind])


def _meaning_findings(value: dict[str, Any], verb: Verb) -> list[Finding]:
    """What is wrong with values together, or with what they would mean on this machine."""
    findings = []
    for name in ("data", "checkpoints"):
        path = value.get(name)
        if isinstance(path, str) and path != NO_CHECKPOINTS and not PurePosixPath(path).is_absolute():
            message = f'"{path[:200]}" is relative, and the nodes have no folder in common with this request.'
            findings.append(
                Finding(code="relative", message=message, where=f"--{name}", hint="Write the path from / on.")
            )
    if verb.name == "compare" and len(value.get("names", value["results"])) != len(value["results"]):
        message = f"{len(value['names'])} names are given for {len(value['results'])} results."
        findings.append(Finding(code="wrong_sum", message=message, where="--names", hint="Give one each, or none."))
    if verb.name == "plan":
        asked = [name for name in ("why", "frameworks") if value.get(name)]
        beside = [name for name in ("sensitivity", "gpu") if value.get(name)]
        if asked and len(asked + beside) > 1:
            message = f"{asked[0]} is a question of its own, beside {' and '.join((asked + beside)[1:])}."
            findings.append(
                Finding(code="invalid", message=message, where=f"--{asked[0]}", hint="Ask for one of them.")
            )
    return findings


def _too_large(num_bytes: int) -> Refused:
    message = f"the body has {num_bytes} bytes or more; at most {MOST_BYTES} are read."
    return Refused.of(TOO_LARGE, message, hint="Send less at once.", headers={"Connection": "close"})


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
