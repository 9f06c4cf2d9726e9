"""What Alembic runs: the migrations of one history, in the transaction of whoever asked for them."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    transactional_ddl=True,  # SQLite can, where nobody commits behind its back
)
with context.begin_transaction():
    context.run_migrations()
