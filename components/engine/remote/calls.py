"""From a request to what OpenAI's API takes, and what to leave out for a server that does not know it all."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from openai import APIStatusError

from components.engine.interface import GenerationRequest
from components.engine.remote.forms import form_fields
from components.engine.remote.server import Call, continuation
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams

OPTIONAL: Mapping[str, Mapping[str, Any]] = {
    "top_k": {"top_k": 0},
    "repetition_penalty": {"repetition_penalty": 1.0},
    "min_p": {"min_p": 0.0},
    "seed": {"seed": None},
    "stream_options": {},
    "add_generation_prompt": {},
    "continue_final_message": {},
}
"""Parameters that a reply can be written without, and what the sampling parameters then come to. Servers that do not
know the last two often write a last reply on by themselves."""

NO_LIMIT = "top_k=-1"
"""Stands for this value among what a server refuses: to SGLang only -1 means no limit, to others only 0 does."""

KEPT_SCORES = "kept_scores"
"""Stands for the log probabilities that are kept of a reply among what a server refuses: it is written without them."""

MOST_LOGPROBS = 20
"""So many likeliest tokens OpenAI's API tells at the most, and servers that follow it."""

LARGEST_TOP_K = 2**31 - 1
"""Servers hold it in 32 bits; no vocabulary is as large."""

_UNKNOWN = re.compile(
    r"unrecogni[sz]ed|unknown|not a known|unexpected|unsupported|not supported|not permitted|extra", re.IGNORECASE
)


def build_call(
    request: GenerationRequest,
    messages: Sequence[Message],
    model: str,
    refused: Collection[str],
    kind: str | None = None,
) -> Call:
    """The call that writes a reply to ``request``.

    Args:
        request: what was asked for.
        messages: as many of its messages as fit.
        model: the model's name on the server.
        refused: what the server refuses, as ``refused_by`` tells it.
        kind: the server's, as ``form_fields`` wants it.

    Raises:
        PromptError: the JSON schema is no JSON.
        UnsupportedError: the server cannot be asked for the form that the reply should follow.
    """
    sampling = request.sampling
    standard: dict[str, Any] = {
        "model": model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_new_tokens,
        "stream_options": {"include_usage": True},
    }
    if sampling.seed is not None:
        standard["seed"] = sampling.seed
    if sampling.stop:
        standard["stop"] = list(sampling.stop)
    for name in ("presence_penalty", "frequency_penalty"):
        if penalty := getattr(sampling, name):
            standard[name] = penalty
    extensions: dict[str, Any] = {
        # Left out, it would be what the server finds in the checkpoint.
        "top_k": min(sampling.top_k, LARGEST_TOP_K) or (0 if NO_LIMIT in refused else -1),
        "repetition_penalty": sampling.repetition_penalty,
    }
    for name in ("min_p", "logit_bias", "stop_token_ids", "ignore_eos", "min_tokens"):
        if value := getattr(sampling, name):
            extensions[name] = value
    extensions |= form_fields(sampling, kind)
    logprobs = request.logprobs
    if logprobs is None and request.kept_scores and KEPT_SCORES not in refused:
        logprobs = min(request.kept_scores, MOST_LOGPROBS)
    if request.prompt is None:
        standard["messages"] = list(messages)
        extensions |= continuation(messages)
        if logprobs is not None:
            standard |= {"logprobs": True, "top_logprobs": logprobs}
    else:
        standard["prompt"] = request.prompt if isinstance(request.prompt, str) else list(request.prompt)
        if logprobs is not None:
            standard["logprobs"] = logprobs
    return Call(_without(standard, refused), _without(extensions, refused), chat=request.prompt is None)


def build_prompt_call(request: GenerationRequest, model: str) -> dict[str, Any]:
    """The parameters with which a plain completion tells the log probabilities of its prompt, and writes nothing."""
    return {
        "model": model,
        "prompt": request.prompt if isinstance(request.prompt, str) else list(request.prompt or ()),
        "max_tokens": 0,
        "temperature": 0,
        "echo": True,
        "logprobs": request.prompt_logprobs,
    }


def refused_by(error: APIStatusError, call: Call, keeps_scores: bool = False) -> str | None:
    """What of a call the server refuses that it can do without; None when that is not what is wrong.

    ``keeps_scores`` says that log probabilities were asked for only to be kept: then it can do without them, too. It
    is one thing at a time: a server may go on and list all the parameters that it knows.
    """
    if error.status_code not in (400, 422):
        return None
    sent = call.standard | call.extensions
    if keeps_scores and "logprobs" in sent and "logprobs" in f"{error.param} {error.message}":
        return KEPT_SCORES
    found = re.search(rf"\b({'|'.join(OPTIONAL)})\b", f"{error.param} {error.message}")
    if found is None or found[1] not in sent:
        return None
    if found[1] == "top_k" and sent["top_k"] == -1:
        return NO_LIMIT  # if it was not the value, the next answer says so
    return found[1] if _UNKNOWN.search(error.message) else None


def used_sampling(sampling: SamplingParams, refused: Collection[str]) -> SamplingParams:
    """The sampling parameters that the server was really given."""
    return sampling.model_copy(update={key: value for name in refused for key, value in OPTIONAL.get(name, {}).items()})


def _without(parameters: dict[str, Any], refused: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in refused}
