"""The model in this process: many replies at once."""
