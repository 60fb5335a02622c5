"""Between what the engine says of a reply and what the store keeps of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, cast, get_args

from pydantic import ValidationError

from components.chats.reply import End, ReplyTask
from components.engine.errors import ContextFullError, EngineError, LimitError, PromptError, QueueFullError
from components.engine.events import Finished, FinishReason
from components.engine.receipts import Receipt
from components.model.chat_format import Message as Turn
from components.sampling.parameters import SamplingParams
from components.store.rows import Message, Reply
from components.store.schema import MOST_NUMBER
from components.store.texts import finite

_IN_COLUMNS = ("messages", "prompt", "tokens", "sampling", "model", "weights")
"""What of a receipt stands in columns, or in other messages."""


def kind_of(error: EngineError) -> str:
    """Which of the page's sentences goes with an error."""
    match error:
        case ContextFullError():
            return "full"
        case PromptError():
            return "prompt"
        case QueueFullError():
            return "queue"
        case LimitError():
            return "limit"
        case _:
            return "other"


def begun_reply(
    sampling: SamplingParams, system: str, seen: Sequence[int], continued: int, writer: str, model: str
) -> Reply:
    """What is kept of a reply before its first token.

    ``seen`` are the ids of the messages that the model is given; the reply begins with ``continued`` tokens already.
    """
    record = {"system": system, "seen": list(seen), "continued": continued}
    return Reply(sampling=sampling.model_dump(mode="json"), record=record, writer=writer, model=model)


def reply_now(begun: Reply, task: ReplyTask, end: End | None) -> Reply:
    """What is to be kept of a reply as it is now, growing or ended."""
    if end is not None and (restored := task.restored) is not None:
        return restored.reply
    content = asdict(begun) | {"end": end}
    if end is not None and task.error is not None:
        content |= {"error_kind": kind_of(task.error), "error": str(task.error)}
    if end is not None and (finished := task.finished):
        content |= {
            "prompt_tokens": _number(finished.prompt_tokens),
            "completion_tokens": _number(finished.completion_tokens),
            "seconds": finite(finished.seconds),
            "first_token_seconds": finite(finished.time_to_first_token),
        }
        record = content["record"] | {
            "reused": finished.reused_tokens,
            "approximate": finished.approximate,
            "suggested_penalty": finished.suggested_penalty,
            "waited": finished.waited,
            "pace": task.pace.points,
        }
        if receipt := finished.receipt:
            names = [field.name for field in fields(receipt) if field.name not in _IN_COLUMNS]
            record["receipt"] = {name: getattr(receipt, name) for name in names}
            content |= {
                "sampling": receipt.sampling.model_dump(mode="json"),
                "model": receipt.model,
                "weights": receipt.weights,
            }
        content["record"] = record
    return Reply(**content)


def _number(told: int) -> int:
    """Another server may say anything; so much fits into a column."""
    return min(max(told, 0), MOST_NUMBER)


def finished_of(reply: Reply) -> Finished | None:
    """The engine's figures of a reply that was kept; None where there are none."""
    if reply.end not in get_args(FinishReason) or reply.prompt_tokens is None or reply.completion_tokens is None:
        return None
    record = reply.record
    return Finished(
        cast("FinishReason", reply.end),
        reply.prompt_tokens,
        reply.completion_tokens,
        reply.seconds or 0.0,
        reply.first_token_seconds,
        reused_tokens=record.get("reused", 0),
        suggested_penalty=record.get("suggested_penalty"),
        approximate=record.get("approximate", False),
        waited=record.get("waited", 0.0),
    )


def pace_of(reply: Reply) -> Sequence[tuple[int, int]]:
    """When its tokens came, as ``Pace`` has it; nothing where that was not kept."""
    return [(moment, tokens) for moment, tokens in reply.record.get("pace", ())]


def receipt_of(reply: Reply, seen: Sequence[Message], tokens: Sequence[int]) -> Receipt | None:
    """The receipt of a reply that was kept, and of which the engine told one."""
    told: Mapping[str, Any] | None = reply.record.get("receipt")
    if told is None:
        return None
    try:
        sampling = SamplingParams.model_validate(reply.sampling)
        turns = turns_of(reply.record.get("system", ""), seen)
        return Receipt(
            **told,
            messages=turns,
            prompt=None,
            tokens=tokens,
            sampling=sampling,
            model=reply.model,
            weights=reply.weights,
        )
    except (ValidationError, TypeError):
        return None  # an earlier version's, of which too little is known


def room_taken_by(reply: Reply) -> int | None:
    """How many tokens were kept free for a reply when its prompt was built; None where that is not known."""
    continued = reply.record.get("receipt", reply.record).get("continued")
    try:
        sampling = SamplingParams.model_validate(reply.sampling)
    except ValidationError:
        return None  # an earlier version's
    return None if continued is None else sampling.max_new_tokens + continued


def turns_of(system: str, messages: Sequence[Message]) -> list[Turn]:
    """What the model is given for these messages."""
    turns: list[Turn] = [{"role": "system", "content": system}] if system else []
    turns.extend({"role": message.role, "content": message.text} for message in messages)
    return turns
