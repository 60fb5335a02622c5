"""How llama.cpp's own endpoint is asked for a reply to token ids, and what its events say.

See llama.cpp's ``tools/server/README.md``. Samplers come in the order of transformers' ``generate``, as ours do. What
comes out otherwise than in the engine of this process: the presence and frequency penalties count the prompt's tokens,
too; of tokens that are as likely as the last one that top_k keeps, the others are cut; and random numbers are
llama.cpp's own, so a seed gives another reply, and, since what is computed beside it changes the rounding, not always
the same one.
"""

import json
from collections.abc import Sequence
from typing import Any

from components.engine.errors import SchemaError, UnsupportedError
from components.engine.interface import GenerationRequest
from components.engine.remote.chunks import Part
from components.engine.remote.logprobs import chosen_token, entries, field, likeliest, logprob_of
from components.engine.remote.reply_by_ids import END_TOKEN
from components.engine.remote.server import Call
from components.model.split_characters import SplitCharacters
from components.sampling.forms import JSON_OPTIONS, lark_of, schema_problem
from components.sampling.kept import StepScores
from components.sampling.parameters import SamplingParams

PATH = "/completion"
SAMPLERS = ["penalties", "temperature", "top_k", "top_p", "min_p"]

ENDS = {"limit": "length", "eos": END_TOKEN}

RESPONSE_FIELDS = [
    "content",
    "tokens",
    "tokens_predicted",
    "stop",
    "stop_type",
    "completion_probabilities",
    "timings",
]
"""Else the last event repeats the prompt and all settings."""

SEEDS = 2**32 - 1
"""llama.cpp's have 32 bits, of which the largest means that one is drawn."""


class LlamaCppDialect:
    """See ``Dialect``."""

    def __init__(self, split: SplitCharacters) -> None:
        """``split`` finds the ids that llama.cpp does not tell."""
        self._split = split

    def check(self, request: GenerationRequest) -> None:
        """See ``Dialect.check``."""
        if request.prompt_logprobs is not None:
            raise UnsupportedError(
                "llama.cpp does not tell the log probabilities of prompts: leave echo or logprobs out."
            )
        if request.reads_scores:
            raise UnsupportedError(
                "llama.cpp tells scores only while it writes, and none of characters that are made of several tokens: "
                "those of this reply are not known."
            )
        if request.sampling.min_tokens:
            raise UnsupportedError("llama.cpp knows no min_tokens: leave it out.")
        if (schema := request.sampling.json_schema) is not None:
            try:
                problem = schema_problem(json.loads(schema))
            except ValueError as error:
                problem = str(error)
            if problem:
                raise SchemaError(f"The JSON schema cannot be used: {problem}")

    def call(self, request: GenerationRequest, prompt: Sequence[int]) -> Call:
        """See ``Dialect.call``."""
        sampling = request.sampling
        top = max(request.logprobs or 0, request.kept_scores)
        tells = request.logprobs is not None or request.kept_scores > 0
        body: dict[str, Any] = {
            "prompt": list(prompt),
            "n_predict": sampling.max_new_tokens,
            "stream": True,
            "return_tokens": True,
            "cache_prompt": True,
            "n_probs": max(top, 1) if tells else 0,
            "samplers": SAMPLERS,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repetition_penalty,
            "repeat_last_n": len(prompt) + sampling.max_new_tokens,
            "presence_penalty": sampling.presence_penalty,
            "frequency_penalty": sampling.frequency_penalty,
            "logit_bias": [[token, bias] for token, bias in sampling.logit_bias.items()],
            "ignore_eos": sampling.ignore_eos,
            "response_fields": RESPONSE_FIELDS,
        }
        if sampling.seed is not None:
            body["seed"] = sampling.seed % SEEDS
        if (form := _form(sampling)) is not None:
            body["grammar"] = f"%llguidance {{}}\n{form}"

        return Call(body, {}, chat=False, path=PATH, read=_Events(request, self._split).read)


def _form(sampling: SamplingParams) -> str | None:
    """What a reply follows, in llguidance's language, which is built into llama.cpp here."""
    if sampling.json_schema is None:
        return lark_of(sampling)
    schema = json.dumps(json.loads(sampling.json_schema) | {"x-guidance": JSON_OPTIONS})
    return f"start: %json {schema}"


class _Events:
    """Reads the events of one reply."""

    def __init__(self, request: GenerationRequest, split: SplitCharacters) -> None:
        self._request = request
        self._split = split
        self._count = 0

    def read(self, event: dict[str, Any]) -> Part:
        """What one event says."""
        # Of a token that ends within a character llama.cpp tells nothing but, with the next one, that it was counted.
        written = event.get("tokens_predicted", self._count) - self._count
        self._count += written
        if event.get("stop"):
            end = ENDS.get(str(event.get("stop_type")), "stop")
            if end == END_TOKEN and written:  # behind a part of a character, it is not told either
                end, written = "stop", written - 1
            reused = event.get("timings", {}).get("cache_n")
            return Part("", (), end, None, None, reused=reused, without_id=written)
        ids, told = list(event.get("tokens") or ()), entries(event.get("completion_probabilities"))
        logprobs, kept = self._request.logprobs, self._request.kept_scores
        tokens = tuple(chosen_token(one, logprobs) for one in told) if logprobs is not None else ()
        scores = tuple(step for one in told if (step := _scores(one, kept))) if kept else ()
        if (left_out := written - len(ids)) > 0 and ids:
            ids = [*self._split.before(ids[0], event.get("content", ""), left_out), *ids]
            scores = ()
        return Part("", tokens, None, None, None, tuple(ids), scores, without_id=written - len(ids))


def _scores(told: object, count: int) -> StepScores | None:
    """What is kept of one step; None where it does not say which token came, so that nothing is kept of the reply."""
    token = _id(told)
    if token is None:
        return None
    others = ((_id(one), logprob_of(field(one, "logprob"))) for one in entries(field(told, "top_logprobs")))
    top = likeliest(others, count)
    own = logprob_of(field(told, "logprob"))
    return StepScores.of_logprobs([id_ for id_, _ in top], [one for _, one in top], token, own)


def _id(told: object) -> int | None:
    id_ = field(told, "id")
    return id_ if isinstance(id_, int) else None
