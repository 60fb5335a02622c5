"""What can go wrong between logits and a token."""

NOT_NUMBERS = (
    "The model's scores for the next token are no numbers (NaN or infinite). Try again; if that does not help, the "
    "checkpoint is damaged or its numbers do not fit the data type: start with BAICHUAN_DTYPE=float32."
)


class SamplingError(ValueError):
    """One sequence has no next token; the text says why, and what whoever asked can do about it."""


class NotNumbersError(SamplingError):
    """The model's scores are no numbers: no fault of the request's."""

    def __init__(self, message: str = NOT_NUMBERS) -> None:
        super().__init__(message)
