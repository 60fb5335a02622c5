"""What can go wrong between logits and a token."""


class SamplingError(ValueError):
    """One sequence has no next token; the text says why, and what whoever asked can do about it."""


class NotNumbersError(SamplingError):
    """The model's scores are no numbers: no fault of the request's."""
