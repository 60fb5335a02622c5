"""What is going on: replies under way, figures, the last half hour."""
