"""Paths between nodes, as they were looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBER: sa.Double[float] = sa.Double()


def upgrade() -> None:
    """Create their table."""
    op.create_table(
        "path_samples",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("from_environment", TEXT, nullable=False),
        sa.Column("to_environment", TEXT, nullable=False),
        sa.Column("attempt_id", TEXT, nullable=True),
        sa.Column("seconds", NUMBER, nullable=False),
        sa.Column("look", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_path_samples")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_path_samples_attempt_id", "path_samples", ["attempt_id", "sequence"])
    op.create_index("ix_path_samples_pair", "path_samples", ["from_environment", "to_environment", "sequence"])
