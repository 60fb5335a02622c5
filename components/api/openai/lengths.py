"""A prompt and its reply must fit the context. Nothing is cut here: a program would not notice."""

from dataclasses import replace
from http import HTTPStatus

from components.api.openai.errors import ApiError
from components.engine.errors import UnsupportedError
from components.engine.interface import Engine, GenerationRequest


def fitted(engine: Engine, request: GenerationRequest, longest_given: bool) -> GenerationRequest:
    """The request with a longest reply for which the context has room. Takes the time of turning text into tokens.

    Args:
        engine: who will write.
        request: its ``max_new_tokens`` is what the call says, or the default.
        longest_given: whether the call says it; a default shrinks to what is left.

    Raises:
        ApiError: prompt and reply do not fit.
        PromptError: the prompt cannot be turned into tokens.
    """
    longest, context = request.sampling.max_new_tokens, engine.info.context_length
    try:
        prompt = _count(engine, request)
    except UnsupportedError:
        return request
    if not longest_given:
        longest = min(longest, max(1, context - prompt))
    if prompt + longest > context:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            f"This model's maximum context length is {context} tokens, but {prompt + longest} are asked for: "
            f"{prompt} in the prompt and {longest} for the reply. Shorten the prompt or ask for a shorter reply.",
            param="messages" if request.prompt is None else "prompt",
            code="context_length_exceeded",
        )
    return replace(request, sampling=request.sampling.model_copy(update={"max_new_tokens": longest}))


def _count(engine: Engine, request: GenerationRequest) -> int:
    if request.prompt is None:
        return len(engine.tokenize(request.messages))
    return len(engine.tokenize(request.prompt) if isinstance(request.prompt, str) else request.prompt)
