"""Conversations at work: questions are asked, replies written and kept, whatever happens to the page. Knows no page."""
