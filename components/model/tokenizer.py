"""Baichuan 2's tokenizer: its SentencePiece model, run by the ``tokenizers`` library.

SentencePiece BPE with byte fallback, no normalisation, no dummy prefix. The conversion is exact (the tests compare it
with SentencePiece itself), thread-safe, and can be saved as a plain ``tokenizer.json``.
"""

from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from transformers import AutoTokenizer, PreTrainedTokenizerBase, TokenizersBackend
from transformers.convert_slow_tokenizer import generate_merges, import_protobuf

from components.checkpoints.content import CURE, check_place, explain_content
from components.checkpoints.errors import LoadError
from components.model.configuration import BaichuanConfig, vocabulary_of
from components.model.library_errors import explained
from components.model.token_texts import SPACE_MARK
from components.model.tokenizer_files import check_tokenizer_files

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
"""Kinds of pieces, as in SentencePiece's ``sentencepiece_model.proto``."""


def read_sentencepiece(path: Path) -> Tokenizer:
    """Build the equivalent of a SentencePiece BPE model.

    Args:
        path: a ``tokenizer.model`` file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a SentencePiece model.
    """
    proto = import_protobuf().ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path} is not a SentencePiece model") from error
    pieces = proto.pieces
    vocabulary = {piece.piece: index for index, piece in enumerate(pieces)}
    merges = generate_merges(
        vocabulary,
        {piece.piece: piece.score for piece in pieces},
        skip_tokens=[piece.piece for piece in pieces if piece.type != NORMAL],
    )
    tokenizer = Tokenizer(
        BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True, ignore_merges=False)
    )
    tokenizer.normalizer = normalizers.Replace(" ", SPACE_MARK)
    tokenizer.decoder = decoders.Sequence([decoders.Replace(SPACE_MARK, " "), decoders.ByteFallback(), decoders.Fuse()])
    # SentencePiece marks spaces before it looks for user-defined pieces, so those with a space in them never match.
    tokenizer.add_tokens(
        [
            AddedToken(piece.piece, normalized=False, special=False)
            for piece in pieces
            if piece.type == USER_DEFINED and " " not in piece.piece
        ]
    )
    tokenizer.add_special_tokens(
        [AddedToken(piece.piece, normalized=False, special=True) for piece in pieces if piece.type == CONTROL]
    )
    return tokenizer


class BaichuanTokenizer(TokenizersBackend):
    """Loads from a Baichuan 2 folder with ``from_pretrained``."""

    vocab_files_names = {"vocab_file": "tokenizer.model", "tokenizer_file": "tokenizer.json"}  # noqa: RUF012
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    @classmethod
    def convert_to_native_format(cls, **kwargs: Any) -> dict[str, Any]:
        """Called by ``from_pretrained``: the parent's own conversion orders merges by id, not by score."""
        vocab_file = kwargs.pop("vocab_file", None)
        if kwargs.get("tokenizer_file") is None:
            if vocab_file is None:
                raise OSError("there is neither a tokenizer.model nor a tokenizer.json")
            kwargs["tokenizer_object"] = read_sentencepiece(Path(vocab_file))
        return kwargs

    def __init__(self, **kwargs: Any) -> None:
        kwargs["clean_up_tokenization_spaces"] = False
        super().__init__(**kwargs)


def load_tokenizer(folder: Path, config: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint. No code of the folder is ever executed.

    Args:
        folder: the checkpoint's.
        config: the model's configuration.

    Raises:
        LoadError: it is missing or damaged, or has more tokens than the model.
    """
    pieces = folder / "tokenizer.model"
    check_place(pieces)
    if pieces.is_file() and (wrong := explain_content(pieces)):
        raise LoadError(f"{pieces} cannot be read ({wrong}). {CURE}")
    check_tokenizer_files(folder)
    tokenizer: PreTrainedTokenizerBase
    with explained(folder, "The tokenizer"):
        if isinstance(config, BaichuanConfig):
            tokenizer = BaichuanTokenizer.from_pretrained(folder, local_files_only=True)
        else:
            tokenizer = AutoTokenizer.from_pretrained(
                folder, config=config, trust_remote_code=False, local_files_only=True
            )
    rows = vocabulary_of(config)
    if tokenizer.vocab_size > rows:
        raise LoadError(
            f"The tokenizer in {folder} has {tokenizer.vocab_size} tokens, and the model, as config.json describes it, "
            f"only {rows}. Take both from the same model: python download.py"
        )
    return tokenizer
