"""From scores to the next token, and when a reply ends. Knows no engine and no page."""
