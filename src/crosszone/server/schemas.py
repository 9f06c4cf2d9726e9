"""JSON Schemas of answers, made from the nouns that are sent, and of the job file, as OpenAPI has them."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from crosszone.core.codec import PAIRED_FIELDS

PREFIX = "#/components/schemas/"
JOB_FILE = "JobFile"
_SCALARS = {int: "integer", float: "number", str: "string", bool: "boolean"}


def noun_schemas(*nouns: type) -> dict[str, Any]:
    """The schema of each dataclass of `nouns`, and of all in them, by name: what `to_json` makes of one.

    Other keys may come with later versions, and some come beside the nouns' own.
    """
    found: dict[str, Any] = {}
    for noun in nouns:
        _add_noun(noun, found)
    return found


def job_schemas(schema: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of the job file as schemas that refer to each other by OpenAPI's references."""
    own = {key: value for key, value in schema.items() if key not in ("$schema", "$defs")}
    parts = {f"{JOB_FILE}{name}": value for name, value in schema.get("$defs", {}).items()}
    found: dict[str, Any] = _with_references({JOB_FILE: own, **parts})
    return found


def file_schema(media_type: str) -> dict[str, Any]:
    """Of a body that is a file to save."""
    return {"type": "string", "contentMediaType": media_type}


def reference(name: str) -> dict[str, str]:
    """A reference to the schema called `name`."""
    return {"$ref": PREFIX + name}


def _add_noun(noun: type, found: dict[str, Any]) -> None:
    if noun.__name__ in found:
        return
    found[noun.__name__] = {}  # so that a noun that holds itself ends
    hints = typing.get_type_hints(noun)
    properties = {}
    for field in dataclasses.fields(noun):
        is_pairs = field.name in PAIRED_FIELDS
        properties[field.name] = {"type": "object"} if is_pairs else _schema(hints[field.name], found)
    first_line = (noun.__doc__ or "").strip().partition("\n")[0]
    found[noun.__name__] = {
        "type": "object",
        "description": first_line,
        "required": list(properties),
        "properties": properties,
    }


def _schema(kind: Any, found: dict[str, Any]) -> dict[str, Any]:
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        forms = [_schema(each, found) for each in arguments if each is not types.NoneType]
        return {"anyOf": [*forms, {"type": "null"}]} if types.NoneType in arguments else {"anyOf": forms}
    if typing.get_origin(kind) is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return {"type": "array", "items": _schema(arguments[0], found)}
        items = [_schema(each, found) for each in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        _add_noun(kind, found)
        return reference(kind.__name__)
    return {"type": _SCALARS[kind]} if kind in _SCALARS else {}


def _with_references(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: f"{PREFIX}{JOB_FILE}{each.rpartition('/')[2]}" if key == "$ref" else _with_references(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_with_references(each) for each in value]
    return value
