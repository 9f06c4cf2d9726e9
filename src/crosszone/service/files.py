"""Files that a person names, read whole."""

from __future__ import annotations

from pathlib import Path

from crosszone.errors import SpecError


def read_bytes(table: str | Path, kind: str = "table") -> bytes:
    try:
        return Path(table).read_bytes()
    except OSError as error:
        raise SpecError.unreadable(kind, str(table), error) from None


def decoded(data: bytes, where: str, kind: str = "CSV") -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is 0x{data[error.start]:02x}, which is not UTF-8."
        raise SpecError.of(message, where=where, hint=f"Save it as {kind}, UTF-8.") from None
