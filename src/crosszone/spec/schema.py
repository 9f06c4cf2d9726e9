"""JSON Schema of the job file, and what it tells of keys: where they are legal and what they mean."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from crosszone.spec.job import Job
from crosszone.spec.yaml_source import Path

SOURCES = ("job_model.py", "job.py")
"""Where the classes of the job file stand, those that others inherit from first."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the job file."""

    place: str
    """As `cluster.zones[].nodes[].gpu`; the ways to write a model share the place `model`."""
    required: bool
    description: str
    schema: dict[str, Any]
    """Of its value, references resolved and null left out."""


class _Schema(GenerateJsonSchema):
    """Without titles: they only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def job_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the job file. A quantity's `x-dimension` is the base unit that it turns into."""
    return copy.deepcopy(_schema())


@cache
def keys() -> tuple[Key, ...]:
    """Every key of the job file, in the order of the fields."""
    schema = _schema()
    return tuple(_keys_below("", schema, schema["$defs"]))


def keys_at(path: Path) -> tuple[str, ...]:
    """The keys that are legal in the mapping at `path`; empty where there can be none."""
    schema = _schema()
    found = [schema]
    for part in path:
        found = [below for section in found for below in _below(section, part, schema["$defs"])]
    return tuple(dict.fromkeys(key for section in found for key in section.get("properties", ())))


def nearest_places(key: str) -> tuple[str, ...]:
    """The other mappings, as `workload.dtypes`, that have this very key."""
    return tuple(dict.fromkeys(found.place.rpartition(".")[0] for found in keys() if found.place.endswith(f".{key}")))


@cache
def _schema() -> dict[str, Any]:
    schema = Job.model_json_schema(by_alias=True, schema_generator=_Schema)
    meanings = _field_meanings()
    sections = {Job.__name__: schema, **schema.get("$defs", {})}
    for name, section in sections.items():
        section.pop("title", None)
        section["description"] = " ".join(section["description"].split())
        for key, value in section.get("properties", {}).items():
            value["description"] = meanings[name][key]
            if value.get("default", 0) is None:
                del value["default"]
    return {"$schema": DIALECT, "title": "CrossZone job file", **schema}


def _keys_below(prefix: str, section: dict[str, Any], definitions: dict[str, Any]) -> Iterator[Key]:
    for name, value in section.get("properties", {}).items():
        forms = list(_forms(value, definitions))
        yield Key(
            place=prefix + name,
            required=name in section.get("required", ()),
            description=value["description"],
            schema=forms[0] if len(forms) == 1 else {"anyOf": forms},
        )
        for form in forms:
            if "properties" in form:
                yield from _keys_below(f"{prefix}{name}.", form, definitions)
            for item in _forms(form.get("items", False) or {}, definitions):
                yield from _keys_below(f"{prefix}{name}[].", item, definitions)


def _below(section: dict[str, Any], part: str | int, definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if isinstance(part, int):
        yield from _forms(section.get("items") or {}, definitions)
    elif part in section.get("properties", {}):
        yield from _forms(section["properties"][part], definitions)


def _forms(value: dict[str, Any], definitions: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The ways in which a value may be written, references resolved; null is not one."""
    if "$ref" in value:
        yield definitions[value["$ref"].rpartition("/")[2]]
    elif "oneOf" in value or any("$ref" in form or form.get("type") == "null" for form in value.get("anyOf", ())):
        for form in (*value.get("oneOf", ()), *value.get("anyOf", ())):
            if form.get("type") != "null":
                yield from _forms(form, definitions)
    elif value:
        yield value


def _field_meanings() -> dict[str, dict[str, str]]:
    """The text under each field, by class and key; inherited fields too.

    Pydantic can collect it at import, by reading the source once for each class; here it is read only for a schema.
    """
    files = [resources.files("crosszone.spec").joinpath(name) for name in SOURCES]
    meanings: dict[str, dict[str, str]] = {}
    for node in (node for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.ClassDef):
            inherited = [meanings.get(base.id, {}) for base in node.bases if isinstance(base, ast.Name)]
            meanings[node.name] = {key: text for fields in inherited for key, text in fields.items()}
            meanings[node.name].update(_meanings_in(node))
    return meanings


def _meanings_in(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, following in zip(node.body, node.body[1:], strict=False):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and is_text:
            text = following.value.value  # type: ignore[attr-defined]
            yield _alias(statement), " ".join(text.split())


def _alias(statement: ast.AnnAssign) -> str:
    """The key in the file: the alias where one is given, as `from` for `from_zone`."""
    if isinstance(statement.value, ast.Call):
        for keyword in statement.value.keywords:
            if keyword.arg == "alias" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    assert isinstance(statement.target, ast.Name)
    return statement.target.id
