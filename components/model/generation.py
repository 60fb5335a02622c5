"""The plain decode loop: one sequence, one token at a time, through the KV cache. It is what ``chat()`` needs, no more.

transformers' own ``generate`` streams through a second thread; this is a generator, and draws with the sampler that the
engine has too.
"""

import secrets
from collections.abc import Iterator

import torch
from transformers import DynamicCache, GenerationConfig, PreTrainedModel

from components.sampling.choosing import choose
from components.sampling.errors import SamplingError
from components.sampling.parameters import MAX_SEED, SamplingParams
from components.sampling.sampler import Sampler

UNCHANGED = SamplingParams(temperature=1.0, top_p=1.0, top_k=0, repetition_penalty=1.0)
"""What a generation config means that says nothing: the model's own probabilities."""


def generate_tokens(
    model: PreTrainedModel, input_ids: torch.Tensor, config: GenerationConfig, seed: int | None = None
) -> Iterator[int]:
    """Yield the tokens of a reply; the end token is not among them.

    Args:
        model: any causal language model of transformers.
        input_ids: the prompt, ``[1, n]``.
        config: sampling parameters, ``max_new_tokens`` and ``eos_token_id``.
        seed: the same seed gives the same tokens on the same machine; without one, one is drawn.

    Raises:
        SamplingError: the model's logits are no numbers.
    """
    sampling = SamplingParams.from_generation_config(config, UNCHANGED)
    seed = secrets.randbelow(MAX_SEED) if seed is None else seed
    sampler = Sampler(sampling, input_ids[0].tolist(), seed)
    end_tokens = end_tokens_of(config)
    room = context_length_of(model) - input_ids.shape[1]
    cache = DynamicCache(config=model.config)
    unread = input_ids.to(model.device)
    for _ in range(min(config.max_new_tokens, room)):
        (outcome,) = choose(_last_logits(model, unread, cache), [sampler])
        if isinstance(outcome, SamplingError):
            raise outcome
        if outcome.token in end_tokens:
            return
        sampler.note(outcome.token)
        yield outcome.token
        unread = unread.new_tensor([[outcome.token]])


def end_tokens_of(config: GenerationConfig) -> set[int]:
    """The tokens that end a reply; a checkpoint names none, one or several."""
    eos = config.eos_token_id
    return set() if eos is None else {eos} if isinstance(eos, int) else set(eos)


def context_length_of(model: PreTrainedModel) -> int:
    """How many tokens prompt and reply may have together."""
    length: int = getattr(model.config, "model_max_length", None) or model.config.max_position_embeddings
    return length


@torch.inference_mode()
def _last_logits(model: PreTrainedModel, input_ids: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
    """Run the model over ``[1, n]`` unread tokens; return the last position's logits, float32, ``[1, vocabulary]``."""
    logits: torch.Tensor = model(input_ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
    return logits[:, -1].float()
