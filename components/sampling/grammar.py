"""Replies that follow a JSON schema, a regular expression or the like: which tokens may come next.

llguidance does the work. Against xgrammar it needs neither a compiler nor a copy of the vocabulary per schema, and it
says which part of a schema it does not know instead of ignoring it. It never raises: a matcher that cannot go on stays
in an error state, in which it looks as if it had come to its end, so every step asks for that state.
"""

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from components.sampling.errors import SamplingError
from components.sampling.forms import JSON_OPTIONS, LIMITS, lark_of, shortened
from components.sampling.parameters import SamplingParams


class GrammarError(ValueError):
    """The JSON schema cannot be used; it says why."""


class Grammar:
    """Where one reply stands in its schema. Not for several threads at once."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._mask = np.zeros((vocabulary + 31) // 32, dtype=np.int32)

    def allowed(self, vocabulary: int) -> NDArray[np.bool_]:
        """Which tokens can come next, ``[vocabulary]``.

        Raises:
            SamplingError: the schema is too complex to go on, or nothing can come next.
        """
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        self._check()
        bits = np.unpackbits(self._mask.view(np.uint8), count=vocabulary, bitorder="little")
        allowed: NDArray[np.bool_] = bits.view(np.bool_)
        return allowed

    def note(self, token: int) -> None:
        """A token was written.

        Raises:
            SamplingError: it does not follow the schema, or the schema is too complex to go on.
        """
        self._matcher.consume_token(token)
        self._check()

    @property
    def complete(self) -> bool:
        """Whether the schema is fulfilled and nothing can follow."""
        matcher = self._matcher
        return bool(matcher.is_stopped() and matcher.is_accepting() and not matcher.is_error())

    def _check(self) -> None:
        if self._matcher.is_error() or (self._matcher.is_stopped() and not self._matcher.is_accepting()):
            reason = shortened(self._matcher.get_error() or self._matcher.stop_reason())
            raise SamplingError(
                "The reply cannot follow the JSON schema any further: the schema is too complex, or the reply has left "
                f"it ({reason}). Ask for fewer optional properties, fewer alternatives and shorter patterns."
            )


class Grammars:
    """Compiles schemas for one tokenizer. For any thread."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, vocabulary: int, end_tokens: Collection[int]) -> None:
        """``vocabulary`` is how many logits the model has, which may be more than the tokenizer's tokens."""
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._end_tokens: Sequence[int] = sorted(end_tokens)

    @cached_property
    def _prepared(self) -> LLTokenizer:
        """Made with the first schema: it takes a second with a large vocabulary."""
        return from_tokenizer(self._tokenizer, n_vocab=self._vocabulary, eos_token=list(self._end_tokens) or None)

    def compile_for(self, sampling: SamplingParams) -> Grammar | None:
        """What a reply follows; None where it is free.

        Raises:
            GrammarError: what it should follow cannot be used.
        """
        if (grammar := lark_of(sampling)) is not None:
            return self.compile_lark(grammar)
        return None if sampling.json_schema is None else self.compile(sampling.json_schema)

    def compile_lark(self, grammar: str) -> Grammar:
        """A grammar in llguidance's form of Lark's language.

        Raises:
            GrammarError: it is none, or a regular expression in it uses what the library does not know.
        """
        matcher = LLMatcher(self._prepared, LLMatcher.grammar_from_lark(grammar), log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise GrammarError(f"The form of the reply cannot be used: {shortened(matcher.get_error())}")
        return Grammar(matcher, self._vocabulary)

    def compile(self, schema: str) -> Grammar:
        """The grammar of a JSON schema, written as JSON.

        Raises:
            GrammarError: it is no JSON schema, or uses what the library does not know.
        """
        try:
            source = LLMatcher.grammar_from_json_schema(schema, defaults=JSON_OPTIONS)
        except ValueError as error:
            raise GrammarError(f"The JSON schema cannot be read: {error}") from error
        matcher = LLMatcher(self._prepared, source, log_level=0, limits=LIMITS)
        if matcher.is_error():
            raise GrammarError(f"The JSON schema cannot be used: {shortened(matcher.get_error())}")
        return Grammar(matcher, self._vocabulary)
