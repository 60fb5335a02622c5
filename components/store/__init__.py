"""Conversations in a database: SQLite by default, PostgreSQL by URL. Knows no engine and no page."""
