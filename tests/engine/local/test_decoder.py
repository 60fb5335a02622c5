"""The fast ways to run a model give what the plain one gives."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from components.engine.local.decoder import Decoder, PlainDecoder
from components.engine.local.llama_decoder import LlamaDecoder
from components.model.loading import load_model
from tests.tiny import TINY_PATH

PROMPTS = [list(range(10, 17)), list(range(300, 340)), [5], list(range(50, 180))]


@pytest.fixture(params=["baichuan", "grouped heads", "llama3 positions"])
def model_and_plain(request: pytest.FixtureRequest) -> tuple[LlamaForCausalLM, PlainDecoder]:
    """The same model twice, because the fast decoder takes a model's weights over."""

    def make() -> LlamaForCausalLM:
        if request.param == "baichuan":
            return load_model(TINY_PATH, dtype=torch.float32, device="cpu")[0]
        torch.manual_seed(0)
        rope = {"rope_type": "default", "rope_theta": 10_000.0}
        if request.param == "llama3 positions":
            rope = {"rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0}
            rope |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 64}
        config = LlamaConfig(
            vocab_size=400,
            hidden_size=96,
            intermediate_size=200,
            num_hidden_layers=3,
            num_attention_heads=6,
            num_key_value_heads=2,
            max_position_embeddings=256,
            rope_parameters=rope,
        )
        return LlamaForCausalLM(config).eval()

    return make(), PlainDecoder(make())


def test_logits_equal_the_plain_ones(model_and_plain: tuple[LlamaForCausalLM, PlainDecoder]) -> None:
    model, plain = model_and_plain
    decoders: list[Decoder] = [LlamaDecoder(model), plain]
    caches = [[decoder.new_cache() for _ in PROMPTS] for decoder in decoders]
    for prompt, fast_cache, plain_cache in zip(PROMPTS, *caches, strict=True):
        middle = len(prompt) // 2
        for piece in filter(None, (prompt[:middle], prompt[middle:])):
            fast_logits, plain_logits = decoders[0].prefill(fast_cache, piece), plain.prefill(plain_cache, piece)
        torch.testing.assert_close(fast_logits, plain_logits, atol=1e-4, rtol=0)
    for token in (7, 8, 9):
        step = [decoder.decode(own, [token] * len(PROMPTS)) for decoder, own in zip(decoders, caches, strict=True)]
        torch.testing.assert_close(step[0], step[1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", [LlamaDecoder, PlainDecoder])
def test_truncated_and_copied_caches_go_on_as_if_nothing_else_had_been_read(
    kind: Callable[[LlamaForCausalLM], Decoder], model_and_plain: tuple[LlamaForCausalLM, PlainDecoder]
) -> None:
    decoder = kind(model_and_plain[0])
    fresh = decoder.new_cache()
    wanted = decoder.prefill(fresh, [1, 2, 3, 4, 9, 9], all_logits=True)[-1]
    cache = decoder.new_cache()
    decoder.prefill(cache, [1, 2, 3, 4, 5, 6, 7])
    copy = cache.copy_prefix(4)
    cache.truncate(4)

    for one in (copy, cache):
        assert one.length == 4
        torch.testing.assert_close(decoder.prefill(one, [9, 9]), wanted, atol=1e-4, rtol=0)


def test_an_exact_sequence_gets_the_same_bits_whoever_else_is_there(
    model_and_plain: tuple[LlamaForCausalLM, PlainDecoder],
) -> None:
    decoder = LlamaDecoder(model_and_plain[0])

    def logits(others: int) -> torch.Tensor:
        caches = [decoder.new_cache() for _ in range(1 + others)]
        for number, cache in enumerate(caches):
            decoder.prefill(cache, PROMPTS[number % len(PROMPTS)])
        return decoder.decode(caches, [7] * len(caches), [True] + [False] * others)[0]

    assert torch.equal(logits(others=0), logits(others=7))


def test_an_exact_sequence_gets_the_same_bits_with_the_quantized_model(demo_model: Path) -> None:
    decoder = LlamaDecoder(load_model(demo_model, device="cpu")[0])

    def logits(others: int) -> torch.Tensor:
        caches = [decoder.new_cache() for _ in range(1 + others)]
        for number, cache in enumerate(caches):
            decoder.prefill(cache, PROMPTS[number % len(PROMPTS)])
        return decoder.decode(caches, [7] * len(caches), [True] + [False] * others)[0]

    alone = logits(others=0)
    for others in (1, 2, 3, 7, 15):
        assert torch.equal(alone, logits(others))


def test_models_of_another_kind_are_left_to_the_plain_decoder() -> None:
    config = LlamaConfig(vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=1)
    config.num_attention_heads = config.num_key_value_heads = 2
    assert LlamaDecoder.can_run(LlamaForCausalLM(config))
    config.attention_bias = True
    assert not LlamaDecoder.can_run(LlamaForCausalLM(config))
