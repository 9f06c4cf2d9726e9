"""What a server keeps, opened: the state, and beside it what runs measure and say."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from crosszone.store.database import FULL, NORMAL, Database
from crosszone.store.history import STATE, TELEMETRY, History

STATE_FILE = "state.sqlite"
TELEMETRY_SUFFIX = "-telemetry.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Two databases. The second is a SQLite file, whatever the first is."""

    state: Database
    telemetry: Database

    def parts(self) -> tuple[tuple[History, Database], ...]:
        """Each with the history of its tables."""
        return (STATE, self.state), (TELEMETRY, self.telemetry)

    def close(self) -> None:
        """Let go of both."""
        self.state.close()
        self.telemetry.close()


def default_folder() -> Path:
    """Where data of this user are kept: `$XDG_DATA_HOME/crosszone` (XDG Base Directory Specification 0.8)."""
    written = os.environ.get("XDG_DATA_HOME", "")
    base = Path(written) if Path(written).is_absolute() else Path.home() / ".local" / "share"
    return base / "crosszone"


def open_store(database: str | None = None, *, is_upgraded: bool = True) -> Store:
    """The store at an address, as `Database` takes it, or this user's own; tables are made or brought up to date.

    `is_upgraded`: False leaves the tables as they are. SpecError where the address is none or a newer program wrote
    there; PreflightFailed where the database is not reached.
    """
    state = Database(database or str(default_folder() / STATE_FILE), synchronous=FULL)
    store = Store(state=state, telemetry=Database(_telemetry_file(state), synchronous=NORMAL))
    if is_upgraded:
        for history, each in store.parts():
            with each.writing() as connection:
                history.upgrade(connection)
    return store


def _telemetry_file(state: Database) -> str:
    """Beside the state where that is a file, else among this user's data, by the name of the database."""
    name = Path(str(state.url.database))
    folder = name.parent if state.is_sqlite else default_folder()
    return str(folder / f"{name.stem}{TELEMETRY_SUFFIX}")
