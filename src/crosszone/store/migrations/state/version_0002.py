"""Drop what nothing reads: operations, which end with their server, and who took a task last, which is in leases."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Drop them."""
    op.drop_table("operations")
    for name in ("action", "holder", "fencing_token"):
        op.drop_column("queue", name)
