"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WHOLE = sa.BigInteger()
NUMBER: sa.Double[float] = sa.Double()


def upgrade() -> None:
    """Create them all."""
    _create_lines()
    _create_samples()


def _create_lines() -> None:
    op.create_table(
        "lines",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("rank", WHOLE, nullable=True),
        sa.Column("seconds", NUMBER, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_lines")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_lines_run_id", "lines", ["run_id", "sequence"])


def _create_samples() -> None:
    op.create_table(
        "samples",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("rank", WHOLE, autoincrement=False, nullable=False),
        sa.Column("step", WHOLE, autoincrement=False, nullable=False),
        sa.Column("seconds", NUMBER, nullable=False),
        sa.Column("value", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "name", "rank", "step", name=op.f("pk_samples")),
    )
