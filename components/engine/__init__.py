"""Who generates: one interface, and the engines behind it."""
