"""Which version the tables of a database are of, and how they become the newest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from crosszone.errors import SpecError
from crosszone.store import tables, telemetry_tables

FOLDER = Path(__file__).with_name("migrations")
NEWEST = "head"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All versions of one set of tables."""

    name: str
    """Of the folder with its migrations."""
    metadata: sa.MetaData
    """The newest."""

    def newest(self) -> str:
        """Name of the newest version."""
        found = ScriptDirectory.from_config(self._config()).get_current_head()
        assert found is not None
        return found

    def versions(self) -> tuple[str, ...]:
        """Names of all versions, oldest first."""
        scripts = ScriptDirectory.from_config(self._config()).walk_revisions()
        return tuple(reversed([script.revision for script in scripts]))

    def version(self, connection: sa.Connection) -> str | None:
        """Name of the version that a database has; None where it has none yet."""
        return MigrationContext.configure(connection).get_current_revision()

    def upgrade(self, connection: sa.Connection, to: str = NEWEST) -> None:
        """Bring the tables to the newest version, or to `to`, with all that is in them.

        SpecError where a newer program has written there.
        """
        found = self.version(connection)
        if found is not None and found not in self.versions():
            message = f"a newer program has written to it: its tables are of version {found}, not {self.newest()}."
            raise SpecError.of(message, where=self.name, hint="Run that program, or restore a backup of this one.")
        command.upgrade(self._config(connection), to)

    def _config(self, connection: sa.Connection | None = None) -> Config:
        config = Config(attributes={"connection": connection, "metadata": self.metadata})
        config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", str(FOLDER / self.name).replace("%", "%%"))
        return config


STATE = History(name="state", metadata=tables.metadata)
TELEMETRY = History(name="telemetry", metadata=telemetry_tables.metadata)
