"""Alembic runs this: it migrates over the connection that ``Database.migrate`` hands it."""

from alembic import context

from components.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
