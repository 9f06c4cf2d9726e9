"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True)
WHOLE = sa.BigInteger()
NUMBER: sa.Double[float] = sa.Double()

NEVER_CHANGED = ("transitions", "audit", "deployments", "deployment_files", "blobs")
NEVER_DELETED = ("transitions", "audit")


def upgrade() -> None:
    """Create them all."""
    _create_answers()
    _create_assets()
    _create_audit()
    _create_blobs()
    _create_deployments()
    _create_environments()
    _create_events()
    _create_leases()
    _create_operations()
    _create_quotas()
    _create_tokens()
    _create_zone_links()
    _create_deployment_files()
    _create_tasks()
    _create_attempts()
    _create_queue()
    _create_task_environments()
    _create_transitions()
    _create_parts()
    _create_reservations()
    _create_runs()
    for table in NEVER_CHANGED:
        _refuse(table, "UPDATE")
    for table in NEVER_DELETED:
        _refuse(table, "DELETE")


def _refuse(table: str, action: str) -> None:
    """Let the database itself refuse `action` on any row of `table`."""
    name = f"no_{action.lower()}_of_{table}"
    message = f"rows of {table} are never changed" if action == "UPDATE" else f"rows of {table} are never deleted"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} BEGIN SELECT RAISE(ABORT, '{message}'); END")
        return
    op.execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _create_answers() -> None:
    op.create_table(
        "answers",
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("request_digest", TEXT, nullable=False),
        sa.Column("status", WHOLE, nullable=False),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_answers")),
    )
    op.create_index(op.f("ix_answers_created_seconds"), "answers", ["created_seconds"])


def _create_assets() -> None:
    op.create_table(
        "assets",
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("version_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("zone", TEXT, nullable=True),
        sa.Column("size_bytes", NUMBER, nullable=True),
        sa.Column("num_tokens", NUMBER, nullable=True),
        sa.Column("model", JSON, nullable=True),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "version_id", name=op.f("pk_assets")),
    )


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("status", WHOLE, nullable=False),
        sa.Column("request_id", TEXT, nullable=True),
        sa.Column("details", JSON, nullable=False),
        sa.Column("seconds", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )


def _create_blobs() -> None:
    op.create_table(
        "blobs",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blobs")),
    )


def _create_deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("framework", TEXT, nullable=False),
        sa.Column("backend", TEXT, nullable=False),
        sa.Column("world_size", WHOLE, nullable=False),
        sa.Column("job", JSON, nullable=False),
        sa.Column("request", JSON, nullable=False),
        sa.Column("prediction", JSON, nullable=True),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )


def _create_environments() -> None:
    op.create_table(
        "environments",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("region", TEXT, nullable=True),
        sa.Column("image", TEXT, nullable=True),
        sa.Column("gpu", TEXT, nullable=True),
        sa.Column("num_gpus", WHOLE, nullable=False),
        sa.Column("num_cpus", WHOLE, nullable=True),
        sa.Column("memory_bytes", NUMBER, nullable=True),
        sa.Column("disk_bytes", NUMBER, nullable=True),
        sa.Column("network_bytes_per_second", NUMBER, nullable=True),
        sa.Column("num_rails", WHOLE, nullable=True),
        sa.Column("addresses", JSON, nullable=False),
        sa.Column("interface", TEXT, nullable=True),
        sa.Column("driver_version", TEXT, nullable=True),
        sa.Column("cuda_version", TEXT, nullable=True),
        sa.Column("nccl_version", TEXT, nullable=True),
        sa.Column("gpu_memory_bytes", NUMBER, nullable=True),
        sa.Column("free_gpu_memory_bytes", NUMBER, nullable=True),
        sa.Column("frameworks", JSON, nullable=False),
        sa.Column("health", TEXT, nullable=True),
        sa.Column("dollars_per_gpu_second", NUMBER, nullable=True),
        sa.Column("is_preemptible", sa.Boolean(), nullable=False),
        sa.Column("is_draining", sa.Boolean(), nullable=False),
        sa.Column("started_seconds", NUMBER, nullable=True),
        sa.Column("seen_seconds", NUMBER, nullable=True),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.Column("updated_seconds", NUMBER, nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        sa.Column("search_text", TEXT, nullable=False),
        sa.Column("framework_list", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environments")),
        sa.UniqueConstraint("name", name=op.f("uq_environments_name")),
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("subject_id", TEXT, nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("seconds", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_events_subject_id"), "events", ["subject_id"])


def _create_leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=True),
        sa.Column("fencing_token", WHOLE, nullable=False),
        sa.Column("expires_seconds", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def _create_operations() -> None:
    op.create_table(
        "operations",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("progress_fraction", NUMBER, nullable=True),
        sa.Column("request", JSON, nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("problem", JSON, nullable=True),
        sa.Column("is_cancel_asked", sa.Boolean(), nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.Column("updated_seconds", NUMBER, nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    op.create_index(op.f("ix_operations_state"), "operations", ["state"])


def _create_quotas() -> None:
    op.create_table(
        "quotas",
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("resource", TEXT, nullable=False),
        sa.Column("most", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("owner", "resource", name=op.f("pk_quotas")),
    )


def _create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.Column("expires_seconds", NUMBER, nullable=True),
        sa.Column("revoked_seconds", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_tokens_digest")),
    )


def _create_zone_links() -> None:
    op.create_table(
        "zone_links",
        sa.Column("from_zone", TEXT, nullable=False),
        sa.Column("to_zone", TEXT, nullable=False),
        sa.Column("path", JSON, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("seen_seconds", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("from_zone", "to_zone", name=op.f("pk_zone_links")),
    )


def _create_deployment_files() -> None:
    op.create_table(
        "deployment_files",
        sa.Column("deployment_id", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("is_executable", sa.Boolean(), nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_deployment_files_deployment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["digest"], ["blobs.digest"], name=op.f("fk_deployment_files_digest")),
        sa.PrimaryKeyConstraint("deployment_id", "path", name=op.f("pk_deployment_files")),
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("launch_mode", TEXT, nullable=False),
        sa.Column("request", JSON, nullable=False),
        sa.Column("job", JSON, nullable=True),
        sa.Column("nodes", JSON, nullable=False),
        sa.Column("main_node", TEXT, nullable=True),
        sa.Column("framework", TEXT, nullable=True),
        sa.Column("num_gpus", WHOLE, nullable=False),
        sa.Column("prediction", JSON, nullable=True),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("deployment_id", TEXT, nullable=True),
        sa.Column("priority", WHOLE, nullable=False),
        sa.Column("budget_dollars", NUMBER, nullable=True),
        sa.Column("is_stop_asked", sa.Boolean(), nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.Column("updated_seconds", NUMBER, nullable=False),
        sa.Column("ended_seconds", NUMBER, nullable=True),
        sa.Column("version", WHOLE, nullable=False),
        sa.Column("search_text", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_tasks_deployment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
    )
    op.create_index(op.f("ix_tasks_state"), "tasks", ["state"])


def _create_attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("number", WHOLE, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("main_node", TEXT, nullable=True),
        sa.Column("fencing_token", WHOLE, nullable=True),
        sa.Column("folder", TEXT, nullable=True),
        sa.Column("resumed_step", WHOLE, nullable=True),
        sa.Column("lost_seconds", NUMBER, nullable=True),
        sa.Column("started_seconds", NUMBER, nullable=False),
        sa.Column("ended_seconds", NUMBER, nullable=True),
        sa.Column("version", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_attempts_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
        sa.UniqueConstraint("task_id", "number", name=op.f("uq_attempts_task_id")),
    )


def _create_queue() -> None:
    op.create_table(
        "queue",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("priority", WHOLE, nullable=False),
        sa.Column("not_before_seconds", NUMBER, nullable=False),
        sa.Column("holder", TEXT, nullable=True),
        sa.Column("fencing_token", WHOLE, nullable=True),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_queue_task_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_queue")),
    )
    op.create_index("ix_queue_order", "queue", ["priority", "not_before_seconds"])


def _create_task_environments() -> None:
    op.create_table(
        "task_environments",
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("environment_id", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_task_environments_environment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.id"], name=op.f("fk_task_environments_task_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "environment_id", name=op.f("pk_task_environments")),
    )


def _create_transitions() -> None:
    op.create_table(
        "transitions",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("level", TEXT, nullable=False),
        sa.Column("subject_id", TEXT, nullable=False),
        sa.Column("from_state", TEXT, nullable=True),
        sa.Column("to_state", TEXT, nullable=False),
        sa.Column("cause_code", TEXT, nullable=False),
        sa.Column("cause_text", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("seconds", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_transitions_task_id")),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_transitions")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_transitions_subject_id"), "transitions", ["subject_id"])
    op.create_index("ix_transitions_task_id", "transitions", ["task_id"])


def _create_parts() -> None:
    op.create_table(
        "parts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("attempt_id", TEXT, nullable=False),
        sa.Column("level", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("parent_id", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("seen_seconds", NUMBER, nullable=True),
        sa.Column("details", JSON, nullable=False),
        sa.Column("version", WHOLE, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_parts_attempt_id")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["parts.id"], name=op.f("fk_parts_parent_id"), initially="DEFERRED", deferrable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parts")),
        sa.UniqueConstraint("attempt_id", "level", "name", name=op.f("uq_parts_attempt_id")),
    )


def _create_reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("environment_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("number", WHOLE, autoincrement=False, nullable=False),
        sa.Column("attempt_id", TEXT, nullable=False),
        sa.Column("fencing_token", WHOLE, nullable=False),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_reservations_attempt_id")),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name=op.f("fk_reservations_environment_id")),
        sa.PrimaryKeyConstraint("environment_id", "kind", "number", name=op.f("pk_reservations")),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=True),
        sa.Column("attempt_id", TEXT, nullable=True),
        sa.Column("fingerprint", TEXT, nullable=True),
        sa.Column("job", JSON, nullable=False),
        sa.Column("plan", JSON, nullable=True),
        sa.Column("prediction", JSON, nullable=True),
        sa.Column("measurement", JSON, nullable=True),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("created_seconds", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempts.id"], name=op.f("fk_runs_attempt_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_runs_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
