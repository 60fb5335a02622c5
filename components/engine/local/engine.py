"""The model in this process, writing many replies at once (continuous batching).

What callers ask for is checked and turned into tokens here, in the caller's thread; the worker does the rest.

transformers has continuous batching of its own. It is not used because its step is slow where this application is
tried out: on two cores with the 135M demo model it writes 20 tokens/s for one reader and 56 for eight, of which the
model's forward pass in many small operators takes four fifths. docs/engine.md has the figures.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from components.engine.errors import PromptError, SchemaError
from components.engine.interface import Engine, EngineInfo, Generation, GenerationRequest, Load, Piece
from components.engine.line.fair_queue import check_line
from components.engine.local import sequence as sequences
from components.engine.local.block_pool import BlockPool
from components.engine.local.runner import Runner
from components.engine.local.worker import Worker
from components.engine.receipts import Receipt, installed_versions
from components.model.chat_format import Message, MessagesError, Prompt, chat_format_of, split_system
from components.model.detokenizer import IncrementalDetokenizer, token_bytes_of
from components.model.generation import end_tokens_of
from components.sampling.grammar import GrammarError, Grammars
from components.sampling.parameters import SamplingParams
from components.settings import Settings


class LocalEngine(Engine):
    """Writes up to ``max_batch`` replies at once; more wait in a line in which the visitors take turns."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        runner: Runner,
        info: EngineInfo,
        blocks: int,
        settings: Settings,
    ) -> None:
        """Reserve the memory and start the worker.

        Args:
            model: only its generation config is used.
            tokenizer: the model's.
            runner: runs the model.
            info: what is running; its defaults and context length hold for every request.
            blocks: of keys and values, for all sequences together.
            settings: how many replies at once, how many in line, and how long one may take.
        """
        super().__init__()
        self.info = info
        self._tokenizer = tokenizer
        self._chat_format = chat_format_of(tokenizer, model.generation_config)
        self._vocabulary = runner.vocabulary
        end_tokens = end_tokens_of(model.generation_config)
        self._grammars = Grammars(tokenizer, self._vocabulary, end_tokens)
        self._max_queue = settings.max_queue
        self._versions = installed_versions()
        runner.reserve(blocks)
        self._worker = Worker(
            runner, BlockPool(blocks), end_tokens, settings.max_batch, settings.max_reply_seconds, self._receipt
        )

    @property
    def failure(self) -> str | None:
        """See ``Engine.failure``."""
        return self._worker.failure

    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        """See ``Engine.build_prompt``."""
        room = self.room_for_prompt(max_new_tokens)
        try:
            return self._chat_format.build_prompt(messages, room)
        except MessagesError as error:
            raise PromptError(str(error)) from error

    def tokenize(self, text: str | Sequence[Message]) -> list[int]:
        """See ``Engine.tokenize``."""
        if isinstance(text, str):
            return self._chat_format.encode_text(text)
        try:
            split_system(text)
            return self._chat_format.encode(text)
        except MessagesError as error:
            raise PromptError(str(error)) from error

    def detokenize(self, tokens: Sequence[int]) -> str:
        """See ``Engine.detokenize``."""
        self._check_tokens(tokens)
        return str(self._tokenizer.decode(list(tokens)))

    def pieces(self, tokens: Sequence[int]) -> list[Piece]:
        """See ``Engine.pieces``."""
        self._check_tokens(tokens)
        shown, written_out = token_bytes_of(self._tokenizer), token_bytes_of(self._tokenizer, with_special=True)
        texts = [(written_out(token), shown(token)) for token in tokens]
        return [Piece(text, is_control=bool(text) and not visible) for text, visible in texts]

    def reply_text(self, tokens: Sequence[int]) -> str:
        """See ``Engine.reply_text``."""
        self._check_tokens(tokens)
        detokenizer = IncrementalDetokenizer(self._tokenizer)
        return "".join(map(detokenizer.push, tokens))

    def _start(self, request: GenerationRequest, generation: Generation) -> None:
        prompt = self._prompt_of(request)
        for name in ("logit_bias", "stop_token_ids"):
            self._check_tokens(getattr(request.sampling, name), name)
        try:
            grammar = self._grammars.compile_for(request.sampling)
        except GrammarError as error:
            raise SchemaError(str(error)) from error
        generation.on_cancel = self._worker.wake
        sequence = sequences.Sequence(request, prompt, generation, self._tokenizer, grammar)
        self._worker.submit(sequence, partial(check_line, request.origin, longest=self._max_queue))

    def _prompt_of(self, request: GenerationRequest) -> list[int]:
        """The tokens to read, if the reply fits behind them."""
        longest = request.longest + len(request.continues)
        if request.prompt is None:
            prompt = self.build_prompt(request.messages, longest)
            input_ids, fits = prompt.input_ids, not prompt.too_long
        else:
            input_ids = self.tokenize(request.prompt) if isinstance(request.prompt, str) else list(request.prompt)
            self._check_tokens(input_ids)
            fits = len(input_ids) + longest <= self.info.context_length
        if not input_ids:
            raise PromptError("The prompt is empty: send at least one token.")
        if not fits:
            raise self.too_long(longest)
        self._check_tokens(request.continues)
        if any(not 0 <= place <= len(request.continues) for place in request.exact_at or ()):
            raise PromptError(f"exact_at: the reply has the places 0 to {len(request.continues)}.")
        return [*input_ids, *request.continues]

    def _check_tokens(self, tokens: Iterable[int], where: str = "") -> None:
        if unknown := [token for token in tokens if not 0 <= token < self._vocabulary]:
            within = f"{where}: " if where else ""
            raise PromptError(f"{within}{unknown[0]} is no token: ids run from 0 to {self._vocabulary - 1}.")

    def load(self) -> Load:
        """See ``Engine.load``."""
        return self._worker.load()

    def close(self) -> None:
        """See ``Engine.close``."""
        self._worker.close()

    def _receipt(self, sequence: sequences.Sequence) -> Receipt:
        return Receipt(
            messages=list(sequence.request.messages),
            prompt=sequence.request.prompt,
            tokens=tuple(sequence.reply),
            sampling=sequence.request.sampling.model_copy(update={"seed": sequence.seed}),
            exact=sequence.exact,
            reused=sequence.reused,
            model=self.info.model,
            weights=self.weights or "not known yet",
            device=self.info.device,
            dtype=self.info.dtype,
            engine=self.info.engine,
            versions=self._versions,
            continued=len(sequence.request.continues),
        )


def defaults_of(config: GenerationConfig, context_length: int) -> SamplingParams:
    """The checkpoint's defaults, as far as they fit the context."""
    return SamplingParams.from_generation_config(config).fitting(context_length)
