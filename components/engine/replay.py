"""Writing a reply again from its receipt, to see whether it comes out the same."""

from dataclasses import dataclass

from components.engine.errors import UnsupportedError
from components.engine.events import Delta, Finished
from components.engine.interface import Engine, GenerationRequest
from components.engine.receipts import Receipt, first_difference


@dataclass(frozen=True)
class Replay:
    """How a reply came out the second time.

    ``difference`` is the place of the first token that differs, None when all are the same. ``changed`` names what is
    another than on the receipt: the model, the weights, a version.
    """

    text: str
    receipt: Receipt
    difference: int | None
    changed: tuple[str, ...]


def replay(engine: Engine, receipt: Receipt) -> Replay:
    """Write the receipt's reply again.

    Raises:
        UnsupportedError: the receipt, or the engine, has no token ids to compare.
        EngineError: it cannot be written here.
    """
    nothing_to_compare = UnsupportedError("Another server writes here and tells no token ids: nothing can be compared.")
    if not receipt.tokens:
        raise nothing_to_compare
    text = ""
    begun = receipt.tokens[: receipt.continued]
    request = GenerationRequest(receipt.messages, receipt.sampling, prompt=receipt.prompt, continues=begun)
    with engine.generate(request) as generation:
        for event in generation:
            if isinstance(event, Delta):
                text += event.text
            if isinstance(event, Finished) and event.receipt is not None:
                if not event.receipt.tokens:
                    raise nothing_to_compare
                names = ("model", "weights", "device", "dtype", "engine", "versions")
                changed = tuple(name for name in names if getattr(receipt, name) != getattr(event.receipt, name))
                return Replay(text, event.receipt, first_difference(receipt.tokens, event.receipt.tokens), changed)
    raise AssertionError("an engine's last event is Finished")
