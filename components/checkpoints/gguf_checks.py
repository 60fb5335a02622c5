"""Whether llama.cpp can serve a GGUF file, as far as its header tells: asked before that program gets to see it."""

import re
from array import array
from pathlib import Path

from components.checkpoints.content import CURE
from components.checkpoints.errors import LoadError
from components.checkpoints.gguf import LONGEST_TEXT, TOKENS, GgufHeader
from components.checkpoints.gguf_shape import Fields, Shape, shape_of

SPLIT = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")

TOKEN_IDS = (
    "bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask",
    "fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep", "prefix", "suffix", "middle",
)  # fmt: skip
"""The tokens whose ids llama.cpp asks for, under their names there."""

MOST_IDS = 2**32 - 1

NO_CHAT = {
    "clip": "the part of a model that sees pictures (a vision projector). Name the file with the language model",
    "bert": "an embedding model",
    "nomic-bert": "an embedding model",
    "jina-bert-v2": "an embedding model",
    "jina-bert-v3": "an embedding model",
    "modern-bert": "an embedding model",
    "gemma-embedding": "an embedding model",
    "t5": "a model that translates a text as a whole",
    "t5encoder": "an encoder",
    "wavtokenizer-dec": "the part of a model that speaks",
}
OTHER_TYPES = {
    "mmproj": "the part of a model that sees pictures (a vision projector). Name the file with the language model",
    "adapter": "a LoRA adapter, not a whole model. Merge it into its base model with llama-export-lora",
    "imatrix": "statistics for quantizing, not a model",
}


ROLE_TOKENS = ("<reserved_106>", "<reserved_107>")
"""Baichuan 2's, for the user's and the assistant's turns."""


def tells_how_to_chat(header: GgufHeader) -> bool:
    """Whether a file has a chat template, or Baichuan 2's role tokens: without either nobody can chat with it."""
    template = header.values.get("tokenizer.chat_template")
    if isinstance(template, str) and template.strip():
        return True
    tokens = header.values.get(TOKENS)
    return isinstance(tokens, list) and all(token in tokens for token in ROLE_TOKENS)


def check_usable(file: Path, header: GgufHeader) -> Shape:
    """See that a file holds a whole model that writes text, and its tokenizer; returns the model's shape.

    Raises:
        LoadError: it does not; the text says what it holds instead, or what is missing.
    """
    values, architecture = header.values, header.architecture
    if not architecture:
        raise LoadError(f"{file} does not say what kind of model it holds (general.architecture). {CURE}")
    what = OTHER_TYPES.get(str(values.get("general.type"))) or NO_CHAT.get(architecture)
    if what is None and header.of_architecture("pooling_type"):
        what = "an embedding model"
    if what:
        cure = "" if "." in what else ". Use a model made for chatting, such as Baichuan2-7B-Chat: python download.py"
        raise LoadError(f"{file} holds {what}{cure}.")
    parts = _count_parts(file, header)
    _check_tokenizer(file, header)
    if not header.weights and parts == 1:  # the first of several may hold everything else, so that it is small
        raise LoadError(f"{file} holds only a vocabulary, no weights. Take a whole file of this model.")
    return shape_of(file, header)


def _check_tokenizer(file: Path, header: GgufHeader) -> None:
    """See that there is a vocabulary, and that its lists are as long as llama.cpp believes without looking."""
    fields = Fields(file, header.values, "tokenizer.")
    model, tokens = header.values.get("tokenizer.ggml.model"), header.values.get(TOKENS)
    if model in (None, "", "none", "no_vocab") or tokens in (None, []):
        raise LoadError(
            f"{file} has no tokenizer, so nobody can write to its model. Convert the model again, with its tokenizer "
            "beside it, or take another file of it."
        )
    if not isinstance(model, str):
        raise fields.refusal("ggml.model", "a name belongs")
    if not isinstance(tokens, list):
        raise fields.refusal("ggml.tokens", "a list of texts belongs")
    for name, types, what in (("ggml.token_type", "iI", "whole numbers"), ("ggml.scores", "f", "numbers")):
        value = header.values.get(f"tokenizer.{name}")
        if value is None:
            continue
        if not isinstance(value, array) or value.typecode not in types or len(value) < len(tokens):
            raise fields.refusal(name, f"a list of {what} belongs, one of 32 bits for each of {len(tokens)} tokens")
    for token in TOKEN_IDS:
        if f"tokenizer.ggml.{token}_token_id" in header.values:  # beyond the vocabulary llama.cpp takes its own
            fields.number(f"ggml.{token}_token_id", 0, MOST_IDS)
    if not isinstance(header.values.get("tokenizer.chat_template", ""), str):
        raise fields.refusal("chat_template", f"a text of at most {LONGEST_TEXT} bytes belongs")


def parts_of(file: Path) -> list[Path]:
    """All files of the model whose first file this is."""
    match = SPLIT.fullmatch(file.name)
    return [part for part in _parts(file, match, int(match[3])) if part.is_file()] if match else [file]


def _parts(file: Path, match: re.Match[str], count: int) -> list[Path]:
    """Where the first ``count`` parts belong of the model whose part ``file`` is; ``match`` is of its name."""
    return [file.with_name(f"{match[1]}-{number:05}-of-{match[3]}.gguf") for number in range(1, min(count, 99_999) + 1)]


def _count_parts(file: Path, header: GgufHeader) -> int:
    """In how many files a model lies. llama.cpp takes the first, and finds the others beside it.

    Raises:
        LoadError: it is another one, or there are not all.
    """
    count = header.values.get("split.count", 1)
    if not isinstance(count, int) or count <= 1:
        return 1
    match = SPLIT.fullmatch(file.name)
    if match is None:
        raise LoadError(
            f"{file} is one of {count} parts of a model. Give them the names that they had, like "
            f"NAME-00001-of-{count:05}.gguf, or join them with llama-gguf-split --merge."
        )
    parts = _parts(file, match, count)
    if header.values.get("split.no", 0) != 0:
        raise LoadError(f"{file} is not the first of the model's {count} parts. Name the first: {parts[0].name}")
    if absent := next((part for part in parts if not part.is_file()), None):
        raise LoadError(f"{file} is the first of {count} parts, and {absent.name} is missing beside it. {CURE}")
    return count
