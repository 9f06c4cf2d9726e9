"""The tables of the state: names and columns are those of the nouns that are kept in them, times seconds since 1970.

What is asked for by value has a column; what is only kept whole is JSON.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
"""So that a migration can name what it changes."""
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Sorted by code point on both databases, whatever language a server speaks: pages go on at the same place."""
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite counts by itself only in a column that is called INTEGER."""
NUMBER: sa.Double[float] = sa.Double()
WHOLE = sa.BigInteger()

metadata = sa.MetaData(naming_convention=NAMING)


def _table(name: str, *columns: sa.Column[Any] | sa.Constraint | sa.Index, is_counted: bool = False) -> sa.Table:
    """`is_counted`: SQLite never gives a number again, even of a row that is gone."""
    return sa.Table(name, metadata, *columns, sqlite_autoincrement=is_counted)


def _id() -> sa.Column[Any]:
    return sa.Column("id", TEXT, primary_key=True)


def _sequence() -> sa.Column[Any]:
    return sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=True)


def _text(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, TEXT, nullable=False, **more)


def _maybe(name: str, kind: sa.types.TypeEngine[Any] = TEXT) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def _given(name: str, kind: sa.types.TypeEngine[Any], **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, **more)


def _json(name: str, *, is_optional: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON(none_as_null=True), nullable=is_optional)


def _of(name: str, target: str, *, is_optional: bool = False, goes_with_it: bool = False) -> sa.Column[Any]:
    key = sa.ForeignKey(target, ondelete="CASCADE" if goes_with_it else None)
    return sa.Column(name, TEXT, key, nullable=is_optional)


environments = _table(
    "environments",
    _id(),
    _text("name", unique=True),
    _text("kind"),
    _text("status"),
    _text("zone"),
    _maybe("region"),
    _maybe("image"),
    _maybe("gpu"),
    _given("num_gpus", WHOLE),
    _maybe("num_cpus", WHOLE),
    _maybe("memory_bytes", NUMBER),
    _maybe("disk_bytes", NUMBER),
    _maybe("network_bytes_per_second", NUMBER),
    _maybe("num_rails", WHOLE),
    _json("addresses"),
    _maybe("interface"),
    _maybe("driver_version"),
    _maybe("cuda_version"),
    _maybe("nccl_version"),
    _maybe("gpu_memory_bytes", NUMBER),
    _maybe("free_gpu_memory_bytes", NUMBER),
    _json("frameworks"),
    _maybe("health"),
    _maybe("dollars_per_gpu_second", NUMBER),
    _given("is_preemptible", sa.Boolean()),
    _given("is_draining", sa.Boolean()),
    _maybe("started_seconds", NUMBER),
    _maybe("seen_seconds", NUMBER),
    _text("source"),
    _given("created_seconds", NUMBER),
    _given("updated_seconds", NUMBER),
    _given("version", WHOLE),
    # What a search looks at: all texts of the environment, case folded, and its frameworks, each between commas.
    _text("search_text"),
    _text("framework_list"),
)

zone_links = _table(
    "zone_links",
    _text("from_zone", primary_key=True),
    _text("to_zone", primary_key=True),
    # As a job file writes a link, without its zones.
    _json("path"),
    _text("source"),
    _given("seen_seconds", NUMBER),
)

assets = _table(
    "assets",
    _text("kind", primary_key=True),  # dataset | model
    _text("id", primary_key=True),
    _text("version_id", primary_key=True),
    _text("name"),
    _maybe("zone"),
    _maybe("size_bytes", NUMBER),
    _maybe("num_tokens", NUMBER),
    # Of a model: what a job file has under `model`.
    _json("model", is_optional=True),
    _given("created_seconds", NUMBER),
)

deployments = _table(
    "deployments",
    _id(),  # digest of its files
    _text("framework"),
    _text("backend"),
    _given("world_size", WHOLE),
    _json("job"),
    _json("request"),
    _json("prediction", is_optional=True),
    _json("warnings"),
    _text("owner"),
    _given("created_seconds", NUMBER),
)

blobs = _table(
    "blobs",
    _text("digest", primary_key=True),
    _given("content", sa.LargeBinary()),
)

deployment_files = _table(
    "deployment_files",
    sa.Column("deployment_id", TEXT, sa.ForeignKey("deployments.id", ondelete="CASCADE"), primary_key=True),
    _text("path", primary_key=True),
    _given("is_executable", sa.Boolean()),
    _of("digest", "blobs.digest"),
)

tasks = _table(
    "tasks",
    _id(),
    _text("name"),
    _text("state", index=True),
    _text("launch_mode"),
    _json("request"),
    _json("job", is_optional=True),
    _json("nodes"),
    _maybe("main_node"),
    _maybe("framework"),
    _given("num_gpus", WHOLE),
    _json("prediction", is_optional=True),
    _json("warnings"),
    _of("deployment_id", "deployments.id", is_optional=True),
    _given("priority", WHOLE),
    _maybe("budget_dollars", NUMBER),
    _given("is_stop_asked", sa.Boolean()),
    _text("owner"),
    _given("created_seconds", NUMBER),
    _given("updated_seconds", NUMBER),
    _maybe("ended_seconds", NUMBER),
    _given("version", WHOLE),
    _text("search_text"),
)

task_environments = _table(
    "task_environments",
    sa.Column("task_id", TEXT, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("environment_id", TEXT, sa.ForeignKey("environments.id", ondelete="CASCADE"), primary_key=True),
)

attempts = _table(
    "attempts",
    _id(),
    _of("task_id", "tasks.id"),
    _given("number", WHOLE),
    _text("state"),
    _maybe("main_node"),
    _maybe("fencing_token", WHOLE),
    _maybe("folder"),
    _maybe("resumed_step", WHOLE),
    _maybe("lost_seconds", NUMBER),
    _given("started_seconds", NUMBER),
    _maybe("ended_seconds", NUMBER),
    _given("version", WHOLE),
    sa.UniqueConstraint("task_id", "number"),
)

parts = _table(
    "parts",
    _id(),
    _of("attempt_id", "attempts.id"),
    _text("level"),
    _text("name"),
    # Deferred, so that a backup may be restored in any order.
    sa.Column("parent_id", TEXT, sa.ForeignKey("parts.id", deferrable=True, initially="DEFERRED"), nullable=True),
    _text("state"),
    _maybe("seen_seconds", NUMBER),
    _json("details"),
    _given("version", WHOLE),
    sa.UniqueConstraint("attempt_id", "level", "name"),
)

transitions = _table(
    "transitions",
    _sequence(),
    _of("task_id", "tasks.id"),
    _text("level"),
    _text("subject_id", index=True),
    _maybe("from_state"),
    _text("to_state"),
    _text("cause_code"),
    _text("cause_text"),
    _text("actor"),
    _given("seconds", NUMBER),
    sa.Index("ix_transitions_task_id", "task_id"),
    is_counted=True,
)

runs = _table(
    "runs",
    _id(),
    _text("name"),
    _text("kind"),
    _of("task_id", "tasks.id", is_optional=True),
    _of("attempt_id", "attempts.id", is_optional=True),
    _maybe("fingerprint"),
    _json("job"),
    _json("plan", is_optional=True),
    _json("prediction", is_optional=True),
    _json("measurement", is_optional=True),
    _text("owner"),
    _given("created_seconds", NUMBER),
)

events = _table(
    "events",
    _sequence(),
    _text("kind"),
    _text("subject_id", index=True),
    _json("body"),
    _given("seconds", NUMBER),
    is_counted=True,
)

queue = _table(
    "queue",
    _id(),
    _of("task_id", "tasks.id", goes_with_it=True),
    _given("priority", WHOLE),
    _given("not_before_seconds", NUMBER),
    _given("created_seconds", NUMBER),
    sa.Index("ix_queue_order", "priority", "not_before_seconds"),
)

leases = _table(
    "leases",
    _text("name", primary_key=True),
    _maybe("holder"),
    _given("fencing_token", WHOLE),
    _given("expires_seconds", NUMBER),
)

reservations = _table(
    "reservations",
    sa.Column("environment_id", TEXT, sa.ForeignKey("environments.id"), primary_key=True),
    _text("kind", primary_key=True),  # gpu | port
    _given("number", WHOLE, primary_key=True, autoincrement=False),
    _of("attempt_id", "attempts.id"),
    _given("fencing_token", WHOLE),
    _given("created_seconds", NUMBER),
)

quotas = _table(
    "quotas",
    _text("owner", primary_key=True),
    _text("resource", primary_key=True),
    _given("most", NUMBER),
)

tokens = _table(
    "tokens",
    _id(),
    _text("name"),
    _text("digest", unique=True),
    _text("scope"),
    _given("created_seconds", NUMBER),
    _maybe("expires_seconds", NUMBER),
    _maybe("revoked_seconds", NUMBER),
)

audit = _table(
    "audit",
    _sequence(),
    _text("actor"),
    _text("action"),
    _text("target"),
    _given("status", WHOLE),
    _maybe("request_id"),
    _json("details"),
    _given("seconds", NUMBER),
    is_counted=True,
)

answers = _table(
    "answers",
    _text("owner", primary_key=True),
    _text("key", primary_key=True),
    _text("request_digest"),
    _given("status", WHOLE),
    _json("headers"),
    _text("body"),
    _given("created_seconds", NUMBER, index=True),
)
"""What was answered to requests with an Idempotency-Key."""
