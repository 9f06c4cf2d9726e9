"""Which version the tables of a database are of, and how they become the newest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from crosszone.errors import SpecError
from crosszone.store import tables, telemetry_tables

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).with_name("migrations")
PREFIX = "version_"
"""Of the file of a version, before its name."""
VERSION_TABLE = sa.table("alembic_version", sa.column("version_num"))


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All versions of one set of tables. Alembic is loaded only where there is something to do: a start is quick."""

    name: str
    """Of the folder with its migrations."""
    metadata: sa.MetaData
    """The newest."""

    def newest(self) -> str:
        """Name of the newest version."""
        return self.versions()[-1]

    def versions(self) -> tuple[str, ...]:
        """Names of all versions, oldest first."""
        return tuple(sorted(path.stem.removeprefix(PREFIX) for path in (FOLDER / self.name).glob(f"{PREFIX}*.py")))

    def version(self, connection: sa.Connection) -> str | None:
        """Name of the version that a database has; None where it has none yet."""
        if not sa.inspect(connection).has_table(VERSION_TABLE.name):
            return None
        found: str | None = connection.execute(sa.select(VERSION_TABLE)).scalar_one_or_none()
        return found

    def upgrade(self, connection: sa.Connection, to: str | None = None) -> None:
        """Bring the tables to the newest version, or to `to`, with all that is in them.

        SpecError where a newer program has written there.
        """
        found, wanted = self.version(connection), to or self.newest()
        if found is not None and found not in self.versions():
            message = f"a newer program has written to it: its tables are of version {found}, not {self.newest()}."
            raise SpecError.of(message, where=self.name, hint="Run that program, or restore a backup of this one.")
        if found != wanted:
            from alembic import command

            command.upgrade(self._config(connection), wanted)

    def _config(self, connection: sa.Connection) -> Config:
        from alembic.config import Config

        config = Config(attributes={"connection": connection, "metadata": self.metadata})
        config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", str(FOLDER / self.name).replace("%", "%%"))
        return config


STATE = History(name="state", metadata=tables.metadata)
TELEMETRY = History(name="telemetry", metadata=telemetry_tables.metadata)
