"""Replies that follow a JSON schema: which tokens may come next.

llguidance does the work. Against xgrammar it needs neither a compiler nor a copy of the vocabulary per schema, and it
says which part of a schema it does not know instead of ignoring it.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from transformers import PreTrainedTokenizerBase


class GrammarError(ValueError):
    """The JSON schema cannot be used; it says why."""


class Grammar:
    """Where one reply stands in its schema. Not for several threads at once."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._mask = np.zeros((vocabulary + 31) // 32, dtype=np.int32)

    def forbid(self, logits: torch.Tensor) -> None:
        """Make the tokens impossible that cannot come next: ``[vocabulary]`` logits, changed in place."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
        allowed = np.unpackbits(self._mask.view(np.uint8), bitorder="little")[: len(logits)]
        logits.masked_fill_(torch.from_numpy(allowed == 0).to(logits.device), -torch.inf)

    def note(self, token: int) -> None:
        """A token was written."""
        self._matcher.consume_token(token)

    @property
    def complete(self) -> bool:
        """Whether nothing can follow."""
        return bool(self._matcher.is_stopped())


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

    def compile(self, schema: str) -> Grammar:
        """The grammar of a JSON schema, written as JSON.

        Raises:
            GrammarError: it is no JSON schema, or uses what the library does not know.
        """
        # Free white space is where small models lose themselves: nothing in the schema ends it.
        options: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        try:
            source = LLMatcher.grammar_from_json_schema(schema, defaults=options)
        except ValueError as error:
            raise GrammarError(f"The JSON schema cannot be read: {error}") from error
        matcher = LLMatcher(self._prepared, source, log_level=0)
        if matcher.is_error():
            raise GrammarError(f"The JSON schema cannot be used: {' '.join(matcher.get_error().split())[:300]}")
        return Grammar(matcher, self._vocabulary)
