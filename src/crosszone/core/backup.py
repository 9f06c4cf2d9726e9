"""What a backup of a server's data says of itself."""

from dataclasses import dataclass

KIND, SCHEMA_VERSION = "crosszone-backup", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TableBackup:
    """The rows of one table."""

    name: str
    columns: tuple[str, ...]
    num_rows: int
    sha256: str
    """Of its lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartBackup:
    """One of the two databases."""

    name: str
    """state | telemetry"""
    version: str
    """Of its tables."""
    tables: tuple[TableBackup, ...]
    """What is referred to before what refers to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup says of itself."""

    schema_version: int = SCHEMA_VERSION
    kind: str = KIND
    program: str
    """Version of the program that made it."""
    created_seconds: float
    parts: tuple[PartBackup, ...]

    @property
    def num_rows(self) -> int:
        """Of all tables."""
        return sum(table.num_rows for part in self.parts for table in part.tables)
