"""Who is next, for how long the others wait, and how much each may have."""
