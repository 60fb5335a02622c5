"""How vLLM is asked for a reply to token ids, and what its events say.

It is OpenAI's endpoint for plain completions with vLLM's own fields. What comes out otherwise than in the engine of
this process: random numbers are vLLM's own, so a seed gives another reply, and, since what is computed beside it
changes the rounding, not always the same one.
"""

from collections.abc import Sequence
from typing import Any

from components.engine.errors import EngineError, UnsupportedError
from components.engine.events import ChosenToken, TokenLogprob
from components.engine.interface import GenerationRequest
from components.engine.remote.chunks import Part
from components.engine.remote.forms import form_fields
from components.engine.remote.logprobs import likeliest, logprob_at, top_at
from components.engine.remote.server import Call
from components.model.token_texts import TokenBytes
from components.sampling.kept import StepScores

PATH = "/v1/completions"
MARK = "token_id:"
"""Stands before the ids of tokens that are asked for as such."""


class VllmDialect:
    """See ``Dialect``."""

    def __init__(self, model: str, written_out: TokenBytes) -> None:
        """Speak to vLLM.

        Args:
            model: its name there.
            written_out: the bytes that a token stands for.
        """
        self._model = model
        self._written_out = written_out

    def check(self, request: GenerationRequest) -> None:
        """See ``Dialect.check``."""
        if request.reads_scores:
            raise UnsupportedError(
                "vLLM tells scores only while it writes: the scores of this reply cannot be read again. Write it anew "
                "to look inside."
            )
        form_fields(request.sampling, "vllm")

    def call(self, request: GenerationRequest, prompt: Sequence[int]) -> Call:
        """See ``Dialect.call``."""
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "prompt": list(prompt),
            "max_tokens": sampling.max_new_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_token_ids": True,
            # What is left out, vLLM takes from the checkpoint.
            "temperature": sampling.temperature,
            "top_k": sampling.top_k or -1,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repetition_penalty": sampling.repetition_penalty,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "logit_bias": {str(token): bias for token, bias in sampling.logit_bias.items()},
            "stop_token_ids": list(sampling.stop_token_ids),
            "ignore_eos": sampling.ignore_eos,
            "min_tokens": sampling.min_tokens,
            **form_fields(sampling, "vllm"),
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        if request.logprobs is not None or request.kept_scores:
            # One more, because it leaves out the last of them for a chosen token that is none of the likeliest.
            body["logprobs"] = max(request.logprobs or 0, request.kept_scores) + 1
            body["return_tokens_as_token_ids"] = True

        def read(event: dict[str, Any]) -> Part:
            return self._read(event, request)

        return Call(body, {}, chat=False, path=PATH, read=read)

    def _read(self, event: dict[str, Any], request: GenerationRequest) -> Part:
        usage = event.get("usage") or {}
        reused = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
        if not event.get("choices"):
            return Part("", (), None, None, None, reused=reused)
        choice = event["choices"][0]
        ids, end = choice.get("token_ids"), choice.get("finish_reason")
        if ids is None:
            raise EngineError(
                "This vLLM is too old: it does not tell the ids of tokens. Take its folder out of the path or "
                "BAICHUAN_VLLM out of the settings, so that a newer one is installed."
            )
        if ids and end == "stop" and choice.get("stop_reason") is None:
            ids = ids[:-1]  # the last one is the model's end token, which is no part of the reply
        steps = _steps(choice.get("logprobs"), ids)
        tokens = tuple(self._chosen(*step, request.logprobs) for step in steps) if request.logprobs is not None else ()
        scores = tuple(_scores(*step, request.kept_scores) for step in steps) if request.kept_scores else ()
        return Part("", tokens, end, None, None, tuple(ids), scores, reused)

    def _chosen(self, token: int, logprob: float | None, top: Sequence[tuple[int, float]], count: int) -> ChosenToken:
        others = tuple(TokenLogprob(self._written_out(id_), one) for id_, one in top[:count])
        return ChosenToken(self._written_out(token), logprob, others)


def _steps(logprobs: object, ids: Sequence[int]) -> list[tuple[int, float | None, list[tuple[int, float]]]]:
    """Of each step the chosen token, its log probability if it is told, and the likeliest with theirs."""
    if not isinstance(logprobs, dict):
        return []
    tops = (((_id(name), one) for name, one in top_at(logprobs, place)) for place in range(len(ids)))
    return [
        (id_, logprob_at(logprobs, place), likeliest(top, None))
        for place, (id_, top) in enumerate(zip(ids, tops, strict=True))
    ]


def _scores(token: int, logprob: float | None, top: Sequence[tuple[int, float]], count: int) -> StepScores:
    kept = top[:count]
    return StepScores.of_logprobs([id_ for id_, _ in kept], [one for _, one in kept], token, logprob)


def _id(token: str) -> int | None:
    number = token.removeprefix(MARK)
    return int(number) if number.isdecimal() else None
