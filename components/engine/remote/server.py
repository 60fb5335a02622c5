"""One OpenAI-compatible server: its address, what it has, and its streams, through the official client."""

import ipaddress
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx2
from openai import (
    APIStatusError,
    AsyncOpenAI,
    AsyncStream,
    BadRequestError,
    DefaultAsyncHttpxClient,
    Timeout,
    UnprocessableEntityError,
)
from openai.types import Completion
from pydantic import BaseModel, HttpUrl, SecretStr, ValidationError

from components.engine.errors import EngineError, UnsupportedError
from components.engine.remote.chunks import Part, read_chat_chunk, read_completion_chunk
from components.engine.remote.sse import read_events
from components.model.chat_format import Message

ANSWER_SECONDS = 10.0
"""How long the server may take for anything that is not a reply."""


Answer = TypeVar("Answer", bound=BaseModel)


class ServedModel(BaseModel):
    """A model in the server's list. vLLM and SGLang tell its context, in tokens; each kind of server has its owner."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None


class _Models(BaseModel):
    data: list[ServedModel]


class _Tokens(BaseModel):
    tokens: list[int]


class _Text(BaseModel):
    prompt: str


@dataclass(frozen=True)
class Call:
    """What is asked of the server.

    Attributes:
        standard: parameters of OpenAI's API.
        extensions: parameters that only some servers know.
        chat: whether the call is for a chat completion, else for a plain completion.
        path: of another endpoint that is called instead, below the server's root.
        read: reads what that one sends.
    """

    standard: dict[str, Any]
    extensions: dict[str, Any]
    chat: bool
    path: str = ""
    read: Callable[[Any], Part] | None = None


class Keeper(Protocol):
    """Keeps a server running, and starts it again after a crash."""

    @property
    def trouble(self) -> str | None:
        """Why it does not serve at present, and what will come of it, for people; None while it does."""

    @property
    def has_given_up(self) -> bool:
        """Whether it will not serve any more."""

    @property
    def starts(self) -> int:
        """How often it has got ready."""

    def close(self) -> None:
        """End it."""


@dataclass(frozen=True)
class Own:
    """What is different about a server that this application runs itself.

    Attributes:
        name: for people, to whom its address says nothing.
        keeper: keeps it running.
        transport: leads requests to it.
    """

    name: str
    keeper: Keeper
    transport: httpx2.AsyncBaseTransport


class Server:
    """Asks one server. Everything runs in the event loop of whoever awaits it.

    Nothing is retried here: whoever asks knows what has reached the reader already.

    Attributes:
        address: there is no key in it.
        own: for a server of our own.
        who: what people know it by, at the beginning of a sentence.
    """

    def __init__(
        self, base_url: HttpUrl, key: SecretStr | None, connect_timeout: float, own: Own | None = None
    ) -> None:
        self.address = str(base_url).rstrip("/")
        self.own = own
        self.who = own.name if own else f"The server at {self.address}"
        self._root = self.address.removesuffix("/v1")  # where vLLM has its own endpoints
        self._key = key
        self._takes_details = True  # whether /tokenize does, besides a text or messages
        # A connection may be silent for as long as a prompt is read: how long is the caller's to say.
        self._patience = Timeout(None, connect=connect_timeout)
        self._client = AsyncOpenAI(
            api_key=key.get_secret_value() if key else "none",  # the client insists on one
            base_url=self.address,
            timeout=self._patience,
            max_retries=0,
            # A proxy that the environment names cannot reach a server on this machine.
            http_client=DefaultAsyncHttpxClient(
                trust_env=not _is_loopback(base_url.host or ""), transport=own.transport if own else None
            ),
        )

    async def models(self) -> list[ServedModel]:
        """The models that the server lists.

        Raises:
            openai.APIError: it does not answer, or refuses.
            EngineError: what it answers is no list of models.
        """
        answer = await self._client.get("/models", cast_to=object, options={"timeout": self._brief})
        try:
            return _Models.model_validate(answer).data
        except ValidationError as error:
            raise EngineError(
                f"{self.address}/models is no list of models. Check BAICHUAN_OPENAI_BASE_URL: it usually ends with /v1."
            ) from error

    async def tokenize(self, model: str, text: str | Sequence[Message], *, invites: bool = True) -> list[int]:
        """Token ids, as vLLM's ``/tokenize`` gives them; ``invites`` as in ``Engine.tokenize``.

        Raises:
            UnsupportedError: the server has no such endpoint, or another one under that name.
            openai.APIError: it does not answer, or refuses.
        """
        body: dict[str, Any] = {"model": model}
        if isinstance(text, str):
            body["prompt"], details = text, {"add_special_tokens": False}
        else:
            body["messages"], details = list(text), continuation(text) if invites else {"add_generation_prompt": False}
        if self._takes_details and details:
            try:
                return _read(_Tokens, await self._ask_vllm("/tokenize", body | details)).tokens
            except (BadRequestError, UnprocessableEntityError):
                tokens = _read(_Tokens, await self._ask_vllm("/tokenize", body)).tokens
                self._takes_details = False  # it was them that were wrong
                return tokens
        return _read(_Tokens, await self._ask_vllm("/tokenize", body)).tokens

    async def detokenize(self, model: str, tokens: Sequence[int]) -> str:
        """The text of token ids, as vLLM's ``/detokenize`` gives it; raises as ``tokenize`` does."""
        answer = await self._ask_vllm("/detokenize", {"model": model, "tokens": list(tokens)})
        return _read(_Text, answer).prompt

    @asynccontextmanager
    async def write(self, call: Call) -> AsyncIterator[AsyncGenerator[Part, None]]:
        """The parts of a reply as they come. Leaving the context closes the connection, so the server stops.

        Raises:
            openai.APIError: the server does not answer, refuses, or breaks off.
        """
        if call.read is not None:
            stream = await self._client.post(
                self._root + call.path,
                cast_to=object,
                body=call.standard | call.extensions,
                stream=True,
                stream_cls=AsyncStream[object],
            )
            async with stream:
                yield read_events(stream.response.aiter_bytes(), call.read, stream.response.request)
        elif call.chat:
            top = call.standard.get("top_logprobs")
            async with await self._client.chat.completions.create(
                **call.standard, stream=True, extra_body=call.extensions
            ) as chat:
                yield (read_chat_chunk(chunk, top) async for chunk in chat)
        else:
            top = call.standard.get("logprobs")
            async with await self._client.completions.create(
                **call.standard, stream=True, extra_body=call.extensions
            ) as completion:
                yield (read_completion_chunk(chunk, top) async for chunk in completion)

    async def complete(self, parameters: dict[str, Any]) -> Completion:
        """A plain completion in one piece. Raises ``openai.APIError`` as ``write`` does."""
        completion: Completion = await self._client.completions.create(**parameters)
        return completion

    async def ask(self, path: str, body: dict[str, Any]) -> Any:
        """What another endpoint of the server answers. Raises ``openai.APIError`` as ``write`` does."""
        return await self._client.post(self._root + path, cast_to=object, body=body, options={"timeout": self._brief})

    async def get(self, path: str) -> str:
        """What is at another path of the server. Raises ``openai.APIError`` as ``write`` does."""
        return await self._client.get(self._root + path, cast_to=str, options={"timeout": self._brief})

    def without_key(self, text: str) -> str:
        """The text with the key made illegible: servers repeat in errors what they were sent."""
        return text.replace(self._key.get_secret_value(), "***") if self._key else text

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    @property
    def _brief(self) -> Timeout:
        return Timeout(ANSWER_SECONDS, connect=self._patience.connect)

    async def _ask_vllm(self, path: str, body: dict[str, Any]) -> object:
        try:
            return await self._client.post(
                self._root + path, cast_to=object, body=body, options={"timeout": self._brief}
            )
        except APIStatusError as error:
            if error.status_code not in (404, 405, 501):
                raise
            raise UnsupportedError(f"{self.who} cannot tell tokens: it has no {path}.") from error


def continuation(messages: Sequence[Message]) -> dict[str, bool]:
    """What tells a server to write the last message on when it is a reply already (vLLM's names, SGLang's too)."""
    if messages[-1]["role"] != "assistant":
        return {}
    return {"add_generation_prompt": False, "continue_final_message": True}


def _read(kind: type[Answer], answer: object) -> Answer:
    try:
        return kind.model_validate(answer)
    except ValidationError as error:
        raise UnsupportedError("The server does not tell tokens in vLLM's form.") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
