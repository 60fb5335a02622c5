"""What is to be written for a request: every choice of every prompt, each with its reply within the context.

Nothing is cut here: a program would not notice.
"""

from collections.abc import Sequence
from dataclasses import replace

from starlette.requests import Request

from components.api.generation import asked_by, most_at_once, off_the_loop
from components.api.openai.errors import bad_request
from components.api.openai.generation_fields import GenerationFields
from components.engine.errors import UnsupportedError
from components.engine.interface import Engine, GenerationRequest


async def fit(
    request: Request, engine: Engine, body: GenerationFields, prompts: Sequence[GenerationRequest]
) -> list[tuple[GenerationRequest, int]]:
    """Every text that is to be written, with a longest reply and a seed of its own, and its prompt's tokens.

    Raises:
        ApiError: there are more than can ever be had, or a prompt and its reply do not fit the context.
        PromptError: a prompt cannot be turned into tokens.
    """
    _refuse_too_many(len(prompts), body.written, most_at_once(engine, request))

    def fit_all() -> list[tuple[GenerationRequest, int]]:
        return [
            (_choice_of(fitting, body, choice), count)
            for prompt in prompts
            for fitting, count in [_fitted(engine, asked_by(request, prompt), body.longest)]
            for choice in range(body.written)
        ]

    return await off_the_loop(fit_all)


def _choice_of(request: GenerationRequest, body: GenerationFields, choice: int) -> GenerationRequest:
    """One of a prompt's choices; the first tells the prompt's log probabilities for all."""
    sampling = request.sampling.model_copy(update={"seed": body.seed_of(choice)})
    return replace(request, sampling=sampling, prompt_logprobs=None if choice else request.prompt_logprobs)


def _refuse_too_many(prompts: int, written: int, most: int) -> None:
    if prompts * written > most:
        texts = " times ".join([f"{prompts} prompts"] * (prompts > 1) + [f"{written} replies"] * (written > 1))
        raise bad_request(
            f"{texts} are more than one request can get here, which is {most}. Ask in several requests.",
            param="n" if written > 1 else "prompt",
        )


def _fitted(engine: Engine, request: GenerationRequest, longest: int | None) -> tuple[GenerationRequest, int]:
    """The request with a longest reply for which the context has room, and the number of its prompt's tokens.

    Takes the time of turning text into tokens. An engine that cannot count them judges the length itself.

    Args:
        engine: who will write.
        request: its ``max_new_tokens`` is what is wanted.
        longest: what the client says; None lets what is wanted shrink to what is left.

    Raises:
        ApiError: prompt and reply do not fit.
        PromptError: the prompt cannot be turned into tokens.
    """
    wanted, context = request.sampling.max_new_tokens if longest is None else longest, engine.info.context_length
    try:
        prompt = _count(engine, request)
    except UnsupportedError:
        return _with_longest(request, wanted), 0
    if longest is None:
        wanted = min(wanted, max(1, context - prompt))
    if prompt + wanted > context:
        raise bad_request(
            f"This model's maximum context length is {context} tokens, but {prompt + wanted} are asked for: "
            f"{prompt} in the prompt and {wanted} for the reply. Shorten the prompt or ask for a shorter reply.",
            param="messages" if request.prompt is None else "prompt",
            code="context_length_exceeded",
        )
    return _with_longest(request, wanted), prompt


def _with_longest(request: GenerationRequest, longest: int) -> GenerationRequest:
    return replace(request, sampling=request.sampling.model_copy(update={"max_new_tokens": max(1, longest)}))


def _count(engine: Engine, request: GenerationRequest) -> int:
    if request.prompt is None:
        return len(engine.tokenize(request.messages))
    return len(engine.tokenize(request.prompt) if isinstance(request.prompt, str) else request.prompt)
