"""The plain decode loop: one sequence, one token at a time, through the KV cache.

transformers' own ``generate`` cannot be stopped between tokens by its caller and draws from torch's global random
state; this loop is a generator with a random state of its own, and uses transformers' logits processors.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    LogitsProcessorList,
    PreTrainedModel,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

StopReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Sampler:
    """Picks the next token from logits: greedily, or by temperature, top_k and top_p with a seeded random state."""

    processors: LogitsProcessorList
    random: torch.Generator | None

    @classmethod
    def of(cls, config: GenerationConfig, device: torch.device, seed: int | None) -> "Sampler":
        """The sampler that a generation config describes; without a seed, one is drawn.

        The processors stand in the order of transformers' ``generate``.
        """
        processors = LogitsProcessorList()
        if config.repetition_penalty not in (None, 1.0):
            processors.append(RepetitionPenaltyLogitsProcessor(config.repetition_penalty))
        if not config.do_sample or config.temperature == 0:
            return cls(processors, None)
        if config.temperature not in (None, 1.0):
            processors.append(TemperatureLogitsWarper(config.temperature))
        if config.top_k:
            processors.append(TopKLogitsWarper(config.top_k))
        if config.top_p not in (None, 1.0):
            processors.append(TopPLogitsWarper(config.top_p))
        random = torch.Generator(device)
        if seed is None:
            random.seed()
        else:
            random.manual_seed(seed)
        return cls(processors, random)

    def pick(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Choose a token.

        Args:
            input_ids: everything read and written so far, ``[1, n]``.
            logits: the scores of the next token, ``[1, vocabulary]``.

        Returns:
            The token, ``[1, 1]``.
        """
        scores: torch.Tensor = self.processors(input_ids, logits.float())
        if self.random is None:
            return scores.argmax(dim=-1, keepdim=True)
        return torch.multinomial(scores.softmax(dim=-1), num_samples=1, generator=self.random)


def generate_tokens(
    model: PreTrainedModel, input_ids: torch.Tensor, config: GenerationConfig, seed: int | None = None
) -> Generator[int, None, StopReason]:
    """Yield the tokens of a reply; the end token is not among them.

    Args:
        model: any causal language model of transformers.
        input_ids: the prompt, ``[1, n]``.
        config: sampling parameters, ``max_new_tokens`` and ``eos_token_id``.
        seed: the same seed gives the same tokens on the same machine.

    Returns:
        "stop" when the model ended the reply, "length" when ``max_new_tokens`` or the context did.
    """
    # 1. Prepare.
    sampler = Sampler.of(config, model.device, seed)
    end_tokens = end_tokens_of(config)
    room = context_length_of(model) - input_ids.shape[1]
    cache = DynamicCache(config=model.config)
    context = unread = input_ids.to(model.device)
    for _ in range(min(config.max_new_tokens, room)):
        # 2. Prefill the first time, decode one token every other time.
        logits = _last_logits(model, unread, cache)
        # 3. Choose, and hand out.
        unread = sampler.pick(context, logits)
        token = int(unread)
        if token in end_tokens:
            return "stop"
        context = torch.cat([context, unread], dim=1)
        yield token
    return "length"


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
    """Run the model over ``[1, n]`` unread tokens; return the last position's logits, ``[1, vocabulary]``."""
    logits: torch.Tensor = model(input_ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
    return logits
