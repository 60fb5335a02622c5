"""What can go wrong between logits and a token."""


class SamplingError(ValueError):
    """One sequence has no next token; the text says why, and what whoever asked can do about it."""
