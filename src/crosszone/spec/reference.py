"""The published schema and the tables of keys in the documents, written from the fields of `job`.

`python -m crosszone.spec.reference docs/reference` writes both; a test holds the committed files equal to it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from crosszone.spec.later import DEPLOYED, LATER, LATER_VALUES
from crosszone.spec.schema import Key, job_schema, keys

SCHEMA_FILE = "job.schema.json"
PAGE_FILE = "job-file.md"
TABLE = re.compile(r"(<!-- keys of (\S*) -->\n).*?(<!-- end of keys -->)", re.DOTALL)
TOP = "job"
"""What a table is of that holds the keys at the top of the file."""


def schema_text() -> str:
    """The published JSON Schema."""
    return json.dumps(job_schema(), indent=2, ensure_ascii=False) + "\n"


def page_text(page: str) -> str:
    """`page` with each table of keys written anew: what stands after `<!-- keys of cluster.zones[] -->`."""
    return TABLE.sub(lambda match: f"{match[1]}{_table(match[2])}\n{match[3]}", page)


def write(folder: Path) -> None:
    """Write both files in `folder`; the page's prose stays."""
    (folder / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    page = folder / PAGE_FILE
    page.write_text(page_text(page.read_text(encoding="utf-8")), encoding="utf-8")


def _table(section: str) -> str:
    prefix = "" if section == TOP else f"{section}."
    rows = [key for key in keys() if key.place.startswith(prefix) and "." not in key.place.removeprefix(prefix)]
    lines = [_row(key, key.place.removeprefix(prefix)) for key in rows]
    return "\n".join(["| key | written as | becomes | meaning |", "|---|---|---|---|", *lines])


def _row(key: Key, name: str) -> str:
    dimension = key.schema.get("x-dimension", "")
    base = "" if dimension in ("count", "ratio") else dimension.replace("_", " ")
    required = " **Required.**" if key.required else ""
    later = [f" Of deployments only: {_lower(DEPLOYED[key.place])}"] if key.place in DEPLOYED else []
    later += [f" No effect yet: {_lower(LATER[key.place])}"] if key.place in LATER else []
    later += [
        f" `{name}: {str(value).lower()}` has no effect yet: {_lower(reason)}"
        for (place, value), reason in LATER_VALUES.items()
        if place == key.place
    ]
    return f"| `{name}` | {_written(key.schema)} | {base} | {key.description}{required}{''.join(later)} |"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _written(schema: dict[str, Any]) -> str:
    """How a value is written, in a few words."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if "prefixItems" in schema:
        return f"`[{', '.join(str(item['examples'][0]) for item in schema['prefixItems'])}]`"
    if schema.get("type") == "array":
        items = schema.get("items", {})
        return f"list of {_written(items)}"
    if any(form.get("type") == "integer" for form in schema.get("anyOf", ())):
        return "number"
    if "examples" in schema:
        return f"`{schema['examples'][0]}`"
    if schema.get("type") == "object" or "$ref" in schema:
        return "mapping"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_written(form) for form in schema["anyOf"]))
    return {"boolean": "`true`, `false`", "string": "text"}[schema["type"]]


if __name__ == "__main__":
    write(Path(sys.argv[1]))
