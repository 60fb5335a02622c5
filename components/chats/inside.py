"""Looking inside a finished reply: the scores from which its tokens were chosen, as they were kept or read again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from components.chats.chat import Chat
from components.engine.errors import EngineError, UnsupportedError
from components.engine.events import ScoresRead
from components.engine.interface import Engine, GenerationRequest
from components.sampling.filters import ExactStep
from components.sampling.kept import KeptScores
from components.sampling.parameters import SamplingParams
from components.settings import get_settings
from components.store.rows import Message, Reply

USUAL_SCORES = 50
"""So many are read of each step where the setting keeps none."""


class UnknownScoresError(UnsupportedError):
    """The scores of this reply cannot be had: it says why, and what to do."""


@dataclass(frozen=True)
class Source:
    """What a reply came from, as the model reads it."""

    prompt: Sequence[int]
    tokens: Sequence[int]
    reused: int
    seed: int | None = None  # if one was set: then it was written with kernels that do not depend on who else is there


def kept_scores(chat: Chat, engine: Engine, message: Message) -> KeptScores:
    """The scores of a reply that has ended: from the store, else read again by the model as it wrote them.

    Raises:
        UnknownScoresError: the model that wrote it does not run here, or nobody knows its tokens.
        EngineError: they cannot be read at present.
        StoreError: the store cannot be read at present.
    """
    if (kept := chat.replies.scores(message)) is not None:
        return kept
    source = source_of(chat, engine, message)
    count = get_settings().kept_scores or USUAL_SCORES
    told = _read(chat, engine, source, SamplingParams(), kept_scores=count)
    return KeptScores(engine.info.vocabulary, told.kept)


def exact_steps(
    chat: Chat, engine: Engine, message: Message, sampling: SamplingParams, places: Sequence[int]
) -> Sequence[ExactStep]:
    """What a run with ``sampling`` would choose from at these places of a reply, had it written the same before them.

    Args:
        chat: in which the reply stands.
        engine: reads it up to the last place.
        message: the reply.
        sampling: the parameters.
        places: of tokens in the reply, from 0; as many as the reply has tokens is the place behind them.

    Returns:
        One for each place, in the order asked for.

    Raises:
        UnknownScoresError: the model that wrote it does not run here, or nobody knows its tokens.
        PromptError: there is no such place, or nothing could be chosen there.
        EngineError: they cannot be read at present.
        StoreError: the store cannot be read at present.
    """
    if not places:
        return []
    source = source_of(chat, engine, message)
    last = max(places)
    tokens = source.tokens[:last] if last <= len(source.tokens) else source.tokens
    told = _read(chat, engine, replace(source, tokens=tokens), sampling, exact_at=places)
    by_place = dict(zip(sorted(set(places)), told.exact, strict=True))
    return [by_place[place] for place in places]


def source_of(chat: Chat, engine: Engine, message: Message) -> Source:
    """What a reply came from.

    Raises:
        UnknownScoresError: the model that wrote it does not run here, or nobody knows its tokens.
        StoreError: the store cannot be read at present.
    """
    message = chat.now(message)
    reply, tokens = message.reply, chat.replies.tokens(message)
    if reply is None or not tokens or engine.info.vocabulary == 0:
        raise UnknownScoresError(
            "The scores of this reply are not known: it was written by another server that told none, or not those of "
            "all its tokens, or was brought in. To look inside, write it anew with a model whose server tells them."
        )
    check_model(reply, engine)
    # As when it was written, also in how much of the history was left out for the reply's room.
    seen = chat.seen(engine, message)
    if seen is None:
        raise UnknownScoresError("It is not known what this reply answered. Write it anew to look inside.")
    if (receipt := chat.receipt(message)) is None:
        return Source(seen.prompt, tokens, reused=0)
    return Source(seen.prompt, tokens, receipt.reused, receipt.sampling.seed if receipt.exact else None)


def check_model(reply: Reply, engine: Engine) -> None:
    """See whether the model that wrote a reply runs here: to another, the same token ids are other words.

    Raises:
        UnknownScoresError: it does not.
    """
    if reply.model != engine.info.model:
        raise UnknownScoresError(
            f"This reply was written by {reply.model}, and {engine.info.model} runs now. Write it anew to look inside."
        )


def _read(
    chat: Chat,
    engine: Engine,
    source: Source,
    sampling: SamplingParams,
    kept_scores: int = 0,
    exact_at: Sequence[int] | None = None,
) -> ScoresRead:
    asker = chat.asker
    request = GenerationRequest(
        [],
        sampling.model_copy(update={"seed": source.seed}),
        asker.visitor,
        prompt=source.prompt,
        continues=source.tokens,
        writes=False,
        origin="page",
        limited=asker.limited,
        address=asker.address,
        kept_scores=kept_scores,
        exact_at=exact_at,
        reused=source.reused,
    )
    with engine.generate(request) as generation:
        for event in generation:
            if isinstance(event, ScoresRead):
                return event
    raise EngineError("The reply was not read: the server ends, or reading took too long. Try again.")
