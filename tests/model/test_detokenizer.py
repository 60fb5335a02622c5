"""Text that comes out while tokens come in."""

import random

import pytest
from sentencepiece import SentencePieceProcessor
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from components.model.detokenizer import IncrementalDetokenizer, token_texts_of
from tests.model.conftest import Tiny
from tests.tiny import TINY_PATH

BYTES_FROM = 250  # the id of <0x00> in the tiny vocabulary


def test_a_character_of_several_byte_tokens_comes_out_whole(tiny: Tiny) -> None:
    detokenizer = IncrementalDetokenizer(token_texts_of(tiny[1]))
    pieces = [detokenizer.push(BYTES_FROM + byte) for byte in "好😀".encode()]

    assert pieces == ["", "", "好", "", "", "", "😀"]


def test_a_broken_character_is_shown_only_when_it_can_no_longer_heal(tiny: Tiny) -> None:
    detokenizer = IncrementalDetokenizer(token_texts_of(tiny[1]))
    first, second = "好".encode()[:2]

    assert detokenizer.push(BYTES_FROM + first) == ""
    assert detokenizer.push(BYTES_FROM + second) == ""
    assert detokenizer.push(tiny[1].convert_tokens_to_ids("\n")) == "\ufffd\ufffd\n"


@pytest.mark.parametrize("text", ["好", "龘", "😀", "a😀b龘"])
def test_a_reply_that_ends_inside_a_character_is_whole_when_it_is_written_on(tiny: Tiny, text: str) -> None:
    tokens = [BYTES_FROM + byte for byte in text.encode()]
    for end in range(len(tokens) + 1):
        first = "".join(map(IncrementalDetokenizer(token_texts_of(tiny[1])).push, tokens[:end]))
        rest = "".join(map(IncrementalDetokenizer(token_texts_of(tiny[1]), tokens[:end]).push, tokens[end:]))
        assert "\ufffd" not in first
        assert first + rest == text


def test_any_tokens_give_sentencepieces_text(tiny: Tiny) -> None:
    reference = SentencePieceProcessor(str(TINY_PATH / "tokenizer.model"))
    chance = random.Random(3)
    for _ in range(3_000):
        ids = [
            chance.choice([chance.randint(BYTES_FROM, BYTES_FROM + 255), chance.randint(3, 4095)])
            for _ in range(chance.randint(1, 30))
        ]
        detokenizer = IncrementalDetokenizer(token_texts_of(tiny[1]))
        text = "".join(map(detokenizer.push, ids))
        wanted = reference.decode(ids)
        cut = wanted[len(text) :]
        assert (text + cut, cut.strip("\ufffd")) == (wanted, ""), ids
        assert len(cut) < 4, "at most a character that is not complete"


@pytest.mark.parametrize("text", ["龘", "😀", "é", "a😀b龘", "é" * 3])
def test_a_reply_has_the_whole_of_a_character_that_its_prompt_ends_within(tiny: Tiny, text: str) -> None:
    texts = token_texts_of(tiny[1])
    tokens = [BYTES_FROM + byte for byte in text.encode()]
    for end in range(len(tokens) + 1):
        prompt, reply = tokens[:end], tokens[end:]
        echoed = texts.decode(prompt)
        for continued in range(len(reply) + 1):
            begun = texts.incomplete_end(prompt)
            detokenizer = IncrementalDetokenizer(texts, reply[:continued], is_beginning=False, begun=begun)
            first = IncrementalDetokenizer(texts, is_beginning=False, begun=begun)
            written = "".join(map(first.push, reply[:continued])) + "".join(map(detokenizer.push, reply[continued:]))
            assert echoed + written == text


@pytest.mark.parametrize("prompt", [b"\xe9", b"\xe9\xbe", b"\xf0\x9f\x98", "好".encode() + b"\xe9\xbe"])
@pytest.mark.parametrize("reply", ["a", "好", "😀龘", " a"])
def test_nothing_is_shown_of_a_character_of_the_prompt_that_the_reply_does_not_complete(
    tiny: Tiny, prompt: bytes, reply: str
) -> None:
    texts = token_texts_of(tiny[1])
    for more in (b"", b"\xbe", b"\x98\xbe")[: 4 - len(prompt.removeprefix("好".encode()))]:
        begun = texts.incomplete_end([BYTES_FROM + byte for byte in prompt])
        if (begun + more).decode(errors="ignore"):
            continue  # it is whole
        detokenizer = IncrementalDetokenizer(texts, is_beginning=False, begun=begun)
        written = [detokenizer.push(BYTES_FROM + byte) for byte in more + reply.encode()]
        assert "".join(written) == reply


@pytest.fixture
def byte_level() -> PreTrainedTokenizerFast:
    """A tokenizer like GPT-2's: every byte is a printable character of its own."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={character: i for i, character in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|im_end|>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_byte_level_tokens_give_whole_characters_and_no_special_tokens(byte_level: PreTrainedTokenizerFast) -> None:
    text = " a 好😀\n"
    detokenizer = IncrementalDetokenizer(token_texts_of(byte_level))
    pieces = [detokenizer.push(token) for token in byte_level.encode(text + "<|im_end|>")]

    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_broken_characters_are_read_as_the_tokenizer_itself_does(byte_level: PreTrainedTokenizerFast) -> None:
    texts = token_texts_of(byte_level)
    of_byte = {texts.shown(id_): id_ for id_ in range(256)}
    chance = random.Random(5)
    for _ in range(2_000):
        some = [chance.choice([b"a", "龘".encode(), "😀".encode()])[: chance.randint(1, 4)] for _ in range(5)]
        ids = [of_byte[bytes([byte])] for byte in b"".join(some)]
        wanted = byte_level.decode([*ids, of_byte[b"."]])
        assert texts.decode([*ids, of_byte[b"."]]) == wanted
        assert "".join(map(IncrementalDetokenizer(texts).push, [*ids, of_byte[b"."]])) == wanted
        assert wanted.startswith(texts.decode(ids))
        assert not texts.incomplete_end([*ids, of_byte[b"."]])


def test_the_space_that_llama_2_puts_before_a_text_is_taken_away(tiny: Tiny) -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tiny[1].backend_tokenizer)
    tokenizer.backend_tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    ids = tiny[1].encode(" a b")
    detokenizer = IncrementalDetokenizer(token_texts_of(tokenizer))

    assert "".join(map(detokenizer.push, ids)) == "a b" == tokenizer.decode(ids)
    texts = token_texts_of(tokenizer)
    for followed in (IncrementalDetokenizer(texts, ids[:1]), IncrementalDetokenizer(texts, is_beginning=False)):
        assert "".join(map(followed.push, ids)) == " a b", "what stands before it needs the space"
