"""Who may come in, and as whom: codes, cookies, API keys, and the lock in front of everything on the port."""
