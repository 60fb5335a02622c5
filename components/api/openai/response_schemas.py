"""What requests are answered with, field by field as OpenAI's clients read it."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

FinishReason = Literal["stop", "length", "tool_calls"]
StopReason = Literal["loop", "time"]


class CachedTokens(TypedDict):
    """How many tokens of the prompt were known from before and not read again."""

    cached_tokens: int


class Usage(TypedDict):
    """Numbers of tokens. A prompt counts once, however many replies were written to it.

    In the chunks of a stream they are those of the chunk's choice so far, without details.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[CachedTokens]


class TokenLogprob(TypedDict):
    """How likely a token was. ``token`` has replacement characters where ``bytes`` end within a character."""

    token: str
    logprob: float
    bytes: list[int]


class ChosenToken(TokenLogprob):
    """A token of the reply."""

    top_logprobs: list[TokenLogprob]


class ChatLogprobs(TypedDict):
    """The log probabilities of a chat reply, or of a piece of it."""

    content: list[ChosenToken]
    refusal: None


class CalledFunction(TypedDict):
    """Which function the model calls, with arguments as JSON; in a chunk, the next piece of them."""

    name: NotRequired[str]
    arguments: str


class ToolCall(TypedDict):
    """A call of a tool. Chunks have an index, and all but the first nothing but the arguments' next piece."""

    index: NotRequired[int]
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: CalledFunction


class ReplyMessage(TypedDict):
    """The reply. ``content`` is null where it is a call."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: NotRequired[list[ToolCall]]


class Choice(TypedDict):
    """One of the replies. ``stop_reason`` is not OpenAI's: the reply went round in a circle, or took too long."""

    index: int
    finish_reason: FinishReason
    stop_reason: NotRequired[StopReason]


class ChatChoice(Choice):
    """One of the replies to a conversation."""

    message: ReplyMessage
    logprobs: ChatLogprobs | None


class ResponseHead(TypedDict):
    """What all responses begin with. ``system_fingerprint`` is the beginning of the weights' SHA-256, once known."""

    id: str
    created: int
    model: str
    system_fingerprint: str | None


class ChatCompletion(ResponseHead):
    """The response to a conversation."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    usage: Usage


class ChoiceDelta(TypedDict, total=False):
    """What a chunk adds to the reply."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: list[ToolCall]


class ChunkChoice(TypedDict):
    """What a chunk adds to one of the replies."""

    index: int
    finish_reason: FinishReason | None
    stop_reason: NotRequired[StopReason]


class ChatChunkChoice(ChunkChoice):
    """What a chunk adds to one of the replies to a conversation."""

    delta: ChoiceDelta
    logprobs: ChatLogprobs | None


class TextLogprobs(TypedDict):
    """The log probabilities of a text, or of a piece of it.

    ``top_logprobs`` holds the token that was chosen, too. ``text_offset`` counts characters from the text's beginning.
    With echo the prompt's tokens come first; its first token, before which nothing stands, has null, as has one of
    which another server did not tell how likely it was. Tokens that show no text are told, too: a part of a character
    or of a stop text, and the token that ended the text.
    """

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class TextChoice(Choice):
    """One of the texts."""

    text: str
    logprobs: TextLogprobs | None


class TextChunkChoice(ChunkChoice):
    """What a chunk adds to one of the texts."""

    text: str
    logprobs: TextLogprobs | None


class Completion(ResponseHead):
    """The response to a text."""

    object: Literal["text_completion"]
    choices: list[TextChoice]
    usage: Usage


class OutputText(TypedDict):
    """The text of a response's message."""

    type: Literal["output_text"]
    text: str
    annotations: list[str]
    logprobs: list[ChosenToken]


ItemStatus = Literal["in_progress", "completed", "incomplete"]


class OutputMessage(TypedDict):
    """The text of a response."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    status: ItemStatus
    content: list[OutputText]


class OutputCall(TypedDict):
    """A call of a function, with arguments as JSON. ``call_id`` is what its answer names."""

    id: str
    type: Literal["function_call"]
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


class CachedInputTokens(CachedTokens):
    """How many tokens of the input were known from before."""

    cache_write_tokens: int


class ReasoningTokens(TypedDict):
    """There are none: the model does not think before it answers."""

    reasoning_tokens: int


class ResponseUsage(TypedDict):
    """Numbers of tokens, under this API's names."""

    input_tokens: int
    input_tokens_details: CachedInputTokens
    output_tokens: int
    output_tokens_details: ReasoningTokens
    total_tokens: int


class ResponsesResponse(TypedDict):
    """A response. ``incomplete`` is one whose reply was ended: at the longest, in a circle, or after too long."""

    id: str
    object: Literal["response"]
    created_at: int
    model: str
    status: Literal["completed", "incomplete"]
    output: list[OutputMessage | OutputCall]
    usage: ResponseUsage


class Model(TypedDict):
    """The model that runs. ``max_model_len`` is how many tokens prompt and reply may have together."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int


class ModelList(TypedDict):
    """There is always one."""

    object: Literal["list"]
    data: list[Model]


class TokenizeResponse(TypedDict):
    """What the model reads."""

    tokens: list[int]
    count: int
    max_model_len: int


class DetokenizeResponse(TypedDict):
    """The text of token ids, control tokens written out."""

    prompt: str
