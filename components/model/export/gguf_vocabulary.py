"""A tokenizer as GGUF describes one. Two kinds are known there that Llama-type models have.

``llama`` is SentencePiece's BPE: of all neighbours that make a piece, those with the best score are joined first.
``gpt2`` is BPE over bytes in GPT-2's letters, with a list of merges, after the text was cut by a rule that has a name.
See llama.cpp's ``src/llama-vocab.cpp``.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from gguf import TokenType
from transformers import PreTrainedTokenizerBase

from components.checkpoints.errors import UnsupportedCheckpointError
from components.model.chat_format import CONTROL_TOKEN

BYTE = re.compile(r"<0x[0-9A-F]{2}>")

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
CUTS = {LLAMA_3: "llama-bpe", QWEN_2: "qwen2"}
"""What llama.cpp calls the rules by which a text is cut before it is encoded."""

LOWEST = -1e9
"""The score of what no merge makes, below that of every rank."""


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says of a tokenizer.

    Attributes:
        model: ``llama`` or ``gpt2``.
        cut: the name of the rule by which text is cut first.
        tokens: their texts, by id; as many as the model has rows.
        types: of each token.
        scores: of each token, for ``llama``; else nothing.
        merges: pairs of tokens, the first first, for ``gpt2``; else nothing.
        space_prefix: whether a text begins with a space that nobody wrote.
    """

    model: str
    cut: str
    tokens: list[str]
    types: list[TokenType]
    scores: list[float]
    merges: list[str]
    space_prefix: bool


def vocabulary_for_gguf(tokenizer: PreTrainedTokenizerBase, rows: int) -> Vocabulary:
    """Describe a tokenizer.

    Args:
        tokenizer: of the ``tokenizers`` library.
        rows: tokens that the model has; those that the tokenizer lacks become unused ones.

    Raises:
        UnsupportedCheckpointError: it is of a kind that GGUF has no words for; the text says which.
    """
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    model = parts["model"]
    if model["type"] != "BPE":
        raise _unknown(f"its model is {model['type']}")
    added: dict[int, dict[str, Any]] = {token["id"]: token for token in parts["added_tokens"]}
    texts = {id_: text for text, id_ in model["vocab"].items()} | {
        id_: token["content"] for id_, token in added.items()
    }
    tokens = [texts.get(id_, f"[PAD{id_}]") for id_ in range(rows)]
    unknown = model["unk_token"]
    is_sentencepiece = bool(model["byte_fallback"])
    types = [
        _type(text, added.get(id_), id_ in texts, is_sentencepiece, text == unknown) for id_, text in enumerate(tokens)
    ]
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in model["merges"]]
    if is_sentencepiece:
        scores = _scores(tokens, types, merges)
        return Vocabulary("llama", "default", tokens, types, scores, [], _space_prefix(parts))
    return Vocabulary("gpt2", _cut(parts), tokens, types, [], merges, space_prefix=False)


def _type(text: str, added: dict[str, Any] | None, known: bool, sentencepiece: bool, unknown: bool) -> TokenType:
    if not known:
        return TokenType.UNUSED
    if unknown:
        return TokenType.UNKNOWN
    if sentencepiece and BYTE.fullmatch(text):
        return TokenType.BYTE
    if added is not None:
        # What our own chat format never reads from a text that somebody wrote is not to be read from it there, either.
        return TokenType.CONTROL if added["special"] or CONTROL_TOKEN.fullmatch(text) else TokenType.USER_DEFINED
    # SentencePiece marks spaces before it looks for user-defined pieces, so those with a space in them never match.
    return TokenType.UNUSED if sentencepiece and " " in text else TokenType.NORMAL


def _scores(tokens: list[str], types: list[TokenType], merges: list[str]) -> list[float]:
    """Minus the rank of the first merge that makes a piece: the order in which SentencePiece joins."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        ranks.setdefault("".join(merge.split(" ")), rank)
    usual = zip(tokens, types, strict=True)
    return [float(-ranks[token]) if kind is TokenType.NORMAL and token in ranks else LOWEST for token, kind in usual]


def _space_prefix(parts: dict[str, Any]) -> bool:
    """Whether SentencePiece's dummy prefix is put before a text."""
    steps = _steps(parts["normalizer"]) + _steps(parts["pre_tokenizer"])
    prefix = False
    for step in steps:
        match step:
            case {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}:
                pass
            case {"type": "Prepend", "prepend": "▁"}:
                prefix = True
            case {"type": "Metaspace", "replacement": "▁"}:
                prefix = step.get("prepend_scheme", "always") != "never"
            case _:
                raise _unknown(f"it changes text by {step['type']}")
    return prefix


def _cut(parts: dict[str, Any]) -> str:
    """llama.cpp's name of the rule by which a byte-level tokenizer cuts a text."""
    if normalizers := [step for step in _steps(parts["normalizer"]) if step["type"] != "NFC"]:
        raise _unknown(f"it changes text by {normalizers[0]['type']}")
    cuts = _steps(parts["pre_tokenizer"])
    if any(step.get("add_prefix_space", False) for step in cuts):
        raise _unknown("it puts a space before a text, which llama.cpp does for other kinds only")
    match cuts:
        case [{"type": "ByteLevel", "use_regex": True}]:
            return "gpt-2"
        case [{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "use_regex": True}]:
            return "smollm"
        case [
            {"type": "Split", "pattern": {"Regex": rule}, "invert": False},
            {"type": "ByteLevel", "use_regex": False},
        ]:
            if rule in CUTS:
                return CUTS[rule]
    raise _unknown("it cuts text by a rule that has no name there")


def _steps(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    """A normalizer or pre-tokenizer as a list of those that it consists of."""
    if part is None:
        return []
    if part["type"] != "Sequence":
        return [part]
    return [step for one in part.get("normalizers", part.get("pretokenizers", [])) for step in _steps(one)]


def _unknown(why: str) -> UnsupportedCheckpointError:
    return UnsupportedCheckpointError(
        f"This model's tokenizer cannot be written as GGUF from here: {why}. "
        "llama.cpp's own convert_hf_to_gguf.py knows more kinds."
    )
