"""The converted tokenizer, against the reference's texts and SentencePiece itself."""

import random
from typing import Any

import pytest
from sentencepiece import SentencePieceProcessor

from tests.model.conftest import Tiny
from tests.tiny import EXPECTED, TINY_PATH


@pytest.mark.parametrize("case", EXPECTED["tokenizer"], ids=lambda case: repr(case["text"])[:24])
def test_every_reference_text_gives_its_ids(tiny: Tiny, case: dict[str, Any]) -> None:
    assert tiny[1].encode(case["text"]) == case["ids"]


@pytest.mark.parametrize("case", EXPECTED["tokenizer"], ids=lambda case: repr(case["text"])[:24])
def test_every_reference_text_survives_a_round_trip(tiny: Tiny, case: dict[str, Any]) -> None:
    assert tiny[1].decode(case["ids"]) == case["text"]


def test_random_mixtures_give_sentencepieces_ids(tiny: Tiny) -> None:
    reference = SentencePieceProcessor(str(TINY_PATH / "tokenizer.model"))
    pieces = [reference.id_to_piece(i).replace("▁", " ") for i in range(reference.vocab_size())]
    words = [piece for piece in pieces if piece not in {"<s>", "</s>", "<unk>"}]
    words += ["  ", "   ", "    ", "\n\n\n", "\t", "😀", "𠮷", "\x00", "\u200b", "▁", "Ａ", "e\u0301"]
    chance = random.Random(2)
    for _ in range(20_000):
        text = "".join(chance.choices(words, k=chance.randint(1, 9)))
        assert tiny[1].encode(text) == reference.encode(text), repr(text)


def test_special_tokens_are_the_checkpoints(tiny: Tiny) -> None:
    tokenizer = tiny[1]

    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (1, 2, 0)
    assert tokenizer.decode([1, 1956, 2], skip_special_tokens=True) == tokenizer.decode([1956])
