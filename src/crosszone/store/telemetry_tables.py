"""The tables of what runs measure and say: much of it, of which the last second may be lost."""

from __future__ import annotations

import sqlalchemy as sa

from crosszone.store.tables import NAMING, NUMBER, SEQUENCE, TEXT, WHOLE

metadata = sa.MetaData(naming_convention=NAMING)

samples = sa.Table(
    "samples",
    metadata,
    sa.Column("run_id", TEXT, primary_key=True),
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("rank", WHOLE, primary_key=True, autoincrement=False),
    sa.Column("step", WHOLE, primary_key=True, autoincrement=False),
    sa.Column("seconds", NUMBER, nullable=False),
    sa.Column("value", NUMBER, nullable=False),
)
"""One figure of one rank at one step; a step that is done again after a failure replaces the first."""

lines = sa.Table(
    "lines",
    metadata,
    sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("run_id", TEXT, nullable=False),
    sa.Column("rank", WHOLE, nullable=True),
    sa.Column("seconds", NUMBER, nullable=False),
    sa.Column("text", TEXT, nullable=False),
    sa.Index("ix_lines_run_id", "run_id", "sequence"),
    sqlite_autoincrement=True,
)
"""What a rank said, or, with no rank, what starts ranks."""

path_samples = sa.Table(
    "path_samples",
    metadata,
    sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("from_environment", TEXT, nullable=False),
    sa.Column("to_environment", TEXT, nullable=False),
    sa.Column("attempt_id", TEXT, nullable=True),
    sa.Column("seconds", NUMBER, nullable=False),
    sa.Column("look", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("is_open", sa.Boolean(), nullable=False),
    sa.Index("ix_path_samples_attempt_id", "attempt_id", "sequence"),
    sa.Index("ix_path_samples_pair", "from_environment", "to_environment", "sequence"),
    sqlite_autoincrement=True,
)
"""One look at the path from one environment to another."""
