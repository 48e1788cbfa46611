"""Run by Alembic, on the connection that `calibr.db.migrate` opened as the owner."""

from alembic import context

from calibr.db.metadata import SCHEMA, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=SCHEMA,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
