"""Writes src/api/schema.d.ts, the types of the API, from what the server says of itself.

    .venv/bin/python web/generate_api.py

Its first line carries the digest of the OpenAPI document: a test compares it, so that no change of the API is missed.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from crosszone import service
from crosszone.server.access import Access
from crosszone.server.app import application
from crosszone.server.openapi import describe
from crosszone.server.pools import pools

WEB = Path(__file__).resolve().parent
TARGET = WEB / "src/api/schema.d.ts"
OPTIONS = ("--default-non-nullable", "false", "--empty-objects-unknown")


def document() -> dict[str, Any]:
    """The OpenAPI document of a server that keeps things; no worker is started."""
    with tempfile.TemporaryDirectory() as folder, closing(service.open_store(str(Path(folder, "state")))) as store:
        guarded: Any = application(Access(), pools(1), store=store)
        described = describe(guarded.app, service.job_schema())
    described["info"]["version"] = ""  # a release changes no type
    return described


def first_line(described: dict[str, Any]) -> str:
    """Says which document the types were made of."""
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]
    return f"// Of the OpenAPI document {digest}; written by web/generate_api.py."


def main() -> None:
    """Write the file."""
    described = document()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "openapi.json")
        source.write_text(json.dumps(described), encoding="utf-8")
        command = ["npx", "--no-install", "openapi-typescript", str(source), *OPTIONS]
        types = subprocess.run(command, cwd=WEB, check=True, stdout=subprocess.PIPE, text=True).stdout
    TARGET.write_text(f"{first_line(described)}\n{types}", encoding="utf-8")


if __name__ == "__main__":
    main()
