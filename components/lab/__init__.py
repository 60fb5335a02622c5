"""The sampling lab: one question answered with several settings, and what the replies have in common. Knows no page."""
