"""The chat page: conversation, sidebar, streaming."""
