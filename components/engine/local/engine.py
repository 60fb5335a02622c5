"""The model in this process, writing many replies at once (continuous batching).

What callers ask for is checked and turned into tokens here, in the caller's thread; the worker does the rest.

transformers has continuous batching of its own. It is not used because its step is slow where this application is
tried out: on two cores with the 135M demo model it writes 20 tokens/s for one reader and 56 for eight, of which the
model's forward pass in many small operators takes four fifths. docs/engine.md has the figures.
"""

from functools import partial

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from components.engine.errors import SchemaError
from components.engine.interface import EngineInfo, Generation, GenerationRequest, Load
from components.engine.line.fair_queue import check_line
from components.engine.local import sequence as sequences
from components.engine.local.block_pool import BlockPool
from components.engine.local.runner import Runner
from components.engine.local.worker import Worker
from components.engine.receipts import Receipt, installed_versions
from components.engine.vocabulary import VocabularyEngine, vocabulary_from
from components.model.generation import end_tokens_of
from components.sampling.grammar import GrammarError, Grammars
from components.sampling.parameters import SamplingParams
from components.settings import Settings


class LocalEngine(VocabularyEngine):
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
        self.vocabulary = vocabulary_from(tokenizer, model.generation_config, runner.vocabulary)
        end_tokens = end_tokens_of(model.generation_config)
        self._grammars = Grammars(tokenizer, runner.vocabulary, end_tokens)
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

    def _start(self, request: GenerationRequest, generation: Generation) -> None:
        request, prompt = self._fitted(request)
        try:
            grammar = self._grammars.compile_for(request.sampling)
        except GrammarError as error:
            raise SchemaError(str(error)) from error
        generation.on_cancel = self._worker.wake
        sequence = sequences.Sequence(request, prompt, generation, self.vocabulary.texts, grammar)
        self._worker.submit(sequence, partial(check_line, request.origin, longest=self._max_queue))

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
