"""Llama's forward pass for many sequences at once, in few operators.

At the size of a chat model on a CPU, and for one token on a GPU too, a step costs as much in operators and in the
Python between them as in arithmetic. So q, k and v are one matrix here, and gate and up another; rotary positions are
one complex product; and every sequence has keys and values of its own, in one piece, so that attention reads them
where they lie.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right
from transformers import LlamaForCausalLM, PreTrainedModel

from components.engine.local.decoder import Decoder, KVCache
from components.engine.local.linear import Linear, computes_rows_alike, int8, pack
from components.model.generation import context_length_of
from components.model.quantization import INT8_ROWS, Int8Linear

GROWTH = 256
"""A cache grows by so many tokens, or by half its size: copying it costs little then, and little room stands empty."""


FEW_TOKENS = 64
"""Up to so many tokens are read with a kv head's query heads as more queries of one head. Measured on two cores with 9
heads over 3 and 1,468 tokens, in µs for 1, 33 and 256 tokens: 98, 880 and 5,800, else 620, 1,350 and 5,700."""


class LlamaCache(KVCache):
    """Keys and values in one tensor, ``[layers, 2, kv heads, capacity, head size]``."""

    def __init__(self, shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device) -> None:
        """``shape`` is layers, kv heads, head size."""
        layers, heads, size = shape
        self.length = 0
        self.states = torch.empty(layers, 2, heads, 0, size, dtype=dtype, device=device)

    def reserve(self, length: int) -> None:
        """Make room for ``length`` tokens in all."""
        capacity = self.states.shape[3]
        if length <= capacity:
            return
        larger = max(length, capacity + capacity // 2)
        larger += -larger % GROWTH
        layers, two, heads, _, size = self.states.shape
        states = self.states.new_empty(layers, two, heads, larger, size)
        states[..., : self.length, :] = self.states[..., : self.length, :]
        self.states = states

    def truncate(self, length: int) -> None:
        """See ``KVCache.truncate``."""
        self.length = min(self.length, length)

    def copy_prefix(self, length: int) -> "LlamaCache":
        """See ``KVCache.copy_prefix``."""
        copy = object.__new__(LlamaCache)
        copy.length = 0
        copy.states = self.states[..., :0, :]
        copy.reserve(length)
        copy.states[..., :length, :] = self.states[..., :length, :]
        copy.length = length
        return copy


@dataclass(frozen=True)
class _Layer:
    attention_norm: torch.Tensor
    qkv: Linear
    output: Linear
    mlp_norm: torch.Tensor
    gate_up: Linear
    down: Linear


@dataclass(frozen=True)
class _Weights:
    """All layers and the head, by one kind of kernel."""

    layers: list[_Layer]
    head: Linear


class LlamaDecoder(Decoder):
    """Runs a Llama-type model whose weights it takes over."""

    @staticmethod
    def can_run(model: PreTrainedModel) -> bool:
        """Whether the model is Llama as this file knows it: no biases, SiLU, rotary positions fixed beforehand."""
        return (
            isinstance(model, LlamaForCausalLM)
            and not model.config.attention_bias
            and not model.config.mlp_bias
            and model.config.hidden_act == "silu"
            and model.model.rotary_emb.rope_type in ("default", "linear", "llama3", "yarn")
        )

    def __init__(self, model: LlamaForCausalLM) -> None:
        """Build from a model; its weights move here layer by layer, and it cannot be run any more."""
        config = model.config
        self.context_length = context_length_of(model)
        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._size: int = model.model.layers[0].self_attn.head_dim
        self._eps: float = config.rms_norm_eps
        self._device = model.device
        self._dtype: torch.dtype = model.dtype
        self._rotations = _rotations(model, self.context_length)
        self._embedding = model.model.embed_tokens.weight
        self._norm = model.model.norm.weight
        self._layers: int = config.num_hidden_layers
        self.bytes_per_token = 2 * self._layers * self._kv_heads * self._size * self._dtype.itemsize
        quantized = isinstance(model.lm_head, Int8Linear)
        self._weights = _Weights([], pack(model.lm_head))
        self._rows_alike = computes_rows_alike(self._device, self._dtype)
        self._few_rows_weights = _Weights([], int8(model.lm_head)) if quantized else None
        for layer in model.model.layers:
            self._take(layer)

    def new_cache(self) -> LlamaCache:
        """See ``Decoder.new_cache``."""
        return LlamaCache((self._layers, self._kv_heads, self._size), self._dtype, self._device)

    @torch.inference_mode()
    def prefill(self, cache: KVCache, tokens: Sequence[int], all_logits: bool = False) -> torch.Tensor:
        """See ``Decoder.prefill``."""
        assert isinstance(cache, LlamaCache)
        begin, end = cache.length, cache.length + len(tokens)
        cache.reserve(end)
        mask = self._causal_mask(len(tokens), end)
        few = self._heads != self._kv_heads and self._device.type == "cpu" and len(tokens) <= FEW_TOKENS
        if few and mask is not None:
            mask = mask.repeat(self._heads // self._kv_heads, 1)

        def attend(index: int, qkv: torch.Tensor) -> torch.Tensor:
            states = cache.states[index]
            news = qkv[:, self._heads :].view(-1, 2, self._kv_heads, self._size)
            states[:, :, begin:end] = news.permute(1, 2, 0, 3)
            queries, keys, values = qkv[:, : self._heads], states[None, 0, :, :end], states[None, 1, :, :end]
            if few:
                return self._attend_grouped(queries, keys, values, mask)
            mixed = functional.scaled_dot_product_attention(
                queries[None].transpose(1, 2), keys, values, attn_mask=mask, enable_gqa=self._heads != self._kv_heads
            )
            return mixed[0].transpose(0, 1)

        hidden = self._run(self._weights, tokens, self._rotations[begin:end, None], attend)
        cache.length = end
        return self._logits(self._weights, hidden) if all_logits else self._logits(self._weights, hidden[-1:])[0]

    def _attend_grouped(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """The same attention with the query heads of a kv head as more queries: ``[n, heads, head size]``."""
        new, group = len(queries), self._heads // self._kv_heads
        grouped = queries.view(new, self._kv_heads, group, self._size).permute(1, 2, 0, 3)
        mixed = functional.scaled_dot_product_attention(
            grouped.reshape(1, self._kv_heads, group * new, self._size), keys, values, attn_mask=mask
        )
        return mixed.view(self._kv_heads, group, new, self._size).permute(2, 0, 1, 3)

    def _causal_mask(self, new: int, length: int) -> torch.Tensor | None:
        """Which of ``length`` tokens each of the ``new`` last ones sees; None for all of them."""
        if new == 1:
            return None
        if self._device.type == "cuda":
            return causal_lower_right(new, length)  # a kernel that needs no mask in memory
        return torch.ones(new, length, dtype=torch.bool, device=self._device).tril(length - new)

    @torch.inference_mode()
    def decode(self, caches: Sequence[KVCache], tokens: Sequence[int], exact: Sequence[bool] = ()) -> torch.Tensor:
        """See ``Decoder.decode``."""
        own = [cache for cache in caches if isinstance(cache, LlamaCache)]
        if any(exact) and len(own) > 1 and not self._rows_alike:
            return self._decode_some_alone(own, tokens, exact)
        few = self._few_rows_weights if len(own) <= INT8_ROWS and not any(exact) else None
        return self._decode(few or self._weights, own, tokens)

    def _decode_some_alone(
        self, caches: Sequence[LlamaCache], tokens: Sequence[int], exact: Sequence[bool]
    ) -> torch.Tensor:
        """One step for those that must be exact each, and one for all others."""
        others = [index for index, alone in enumerate(exact) if not alone]
        groups = [[index] for index, alone in enumerate(exact) if alone] + ([others] if others else [])
        parts = [
            self._decode(self._weights, [caches[index] for index in group], [tokens[index] for index in group])
            for group in groups
        ]
        order = torch.tensor([index for group in groups for index in group]).argsort()
        return torch.cat(parts)[order.to(self._device)]

    def _decode(self, weights: _Weights, own: Sequence[LlamaCache], tokens: Sequence[int]) -> torch.Tensor:
        for cache in own:
            cache.reserve(cache.length + 1)
        # Views of every layer's place for the new token, and of all keys and values up to it: made at once, because
        # making them one by one in every layer takes longer than the attention itself.
        places = [cache.states[:, :, :, cache.length].unbind() for cache in own]
        keys = [cache.states[:, 0, None, :, : cache.length + 1].unbind() for cache in own]
        values = [cache.states[:, 1, None, :, : cache.length + 1].unbind() for cache in own]
        group = self._heads // self._kv_heads

        def attend(index: int, qkv: torch.Tensor) -> torch.Tensor:
            queries = qkv[:, : self._heads].view(-1, 1, self._kv_heads, group, self._size).unbind()
            news = qkv[:, self._heads :].view(-1, 2, self._kv_heads, self._size).unbind()
            mixed = []
            for number, (query, new) in enumerate(zip(queries, news, strict=True)):
                places[number][index].copy_(new)
                mixed.append(functional.scaled_dot_product_attention(query, keys[number][index], values[number][index]))
            return torch.cat(mixed)

        positions = torch.tensor([cache.length for cache in own], device=self._device)
        hidden = self._run(weights, tokens, self._rotations[positions][:, None], attend)
        for cache in own:
            cache.length += 1
        return self._logits(weights, hidden)

    def _run(
        self,
        weights: _Weights,
        tokens: Sequence[int],
        rotations: torch.Tensor,
        attend: Callable[[int, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """All layers, over ``[n]`` tokens: ``[n, hidden]``. ``attend`` mixes ``[n, heads + 2 kv heads, head size]``."""
        hidden = functional.embedding(torch.tensor(tokens, device=self._device), self._embedding)
        rotated = self._heads + self._kv_heads
        for index, layer in enumerate(weights.layers):
            qkv = layer.qkv(self._normalized(hidden, layer.attention_norm)).view(len(tokens), -1, self._size)
            pairs = torch.view_as_complex(qkv[:, :rotated].float().view(len(tokens), rotated, -1, 2))
            qkv[:, :rotated] = torch.view_as_real(pairs * rotations).flatten(-2)
            hidden = hidden + layer.output(attend(index, qkv).reshape(len(tokens), -1))
            gate, up = layer.gate_up(self._normalized(hidden, layer.mlp_norm)).chunk(2, dim=-1)
            hidden = hidden + layer.down(functional.silu(gate).mul_(up))
        return hidden

    def _logits(self, weights: _Weights, hidden: torch.Tensor) -> torch.Tensor:
        return weights.head(self._normalized(hidden, self._norm)).float()

    def _normalized(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(hidden, weight.shape, weight, self._eps)

    def _take(self, layer: Any) -> None:
        """Take one layer's weights, with those joined that are used on the same input, and let go of the layer's own.

        Two copies of all weights would not fit many a card.
        """
        attention, mlp = layer.self_attn, layer.mlp
        order = self._interleaved(attention.q_proj, attention.k_proj)
        qkv = _join([attention.q_proj, attention.k_proj, attention.v_proj], order)
        gate_up = _join([mlp.gate_proj, mlp.up_proj])
        linears = [qkv, attention.o_proj, gate_up, mlp.down_proj]
        for weights, kernel in ((self._weights, pack), (self._few_rows_weights, int8)):
            if weights is not None:
                one, two, three, four = (kernel(linear) for linear in linears)
                norms = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
                weights.layers.append(_Layer(norms[0], one, two, norms[1], three, four))
        del attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj
        del mlp.gate_proj, mlp.up_proj, mlp.down_proj

    def _interleaved(self, *rotated: Any) -> torch.Tensor:
        """An order of q's and k's rows in which the two numbers that are rotated together lie side by side.

        transformers rotates number i of a head with number i + size/2. The order within a head does not matter to
        the product of a query and a key.
        """
        rows = sum(module.weight.shape[0] for module in rotated)
        return torch.arange(rows).view(-1, 2, self._size // 2).transpose(1, 2).flatten()


def _join(modules: Sequence[nn.Module], order: torch.Tensor | None = None) -> nn.Module:
    """One linear layer instead of several on the same input; the first rows may get another order."""

    def joined(name: str) -> torch.Tensor:
        rows = torch.cat([getattr(module, name).detach() for module in modules])
        if order is not None:
            rows[: len(order)] = rows[order.to(rows.device)]
        return rows

    first = modules[0]
    if isinstance(first, Int8Linear):
        return Int8Linear(joined("weight"), joined("scale"), None if first.full is None else joined("full"))
    weight = joined("weight")
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.weight = nn.Parameter(weight, requires_grad=False)
    return linear


@torch.inference_mode()
def _rotations(model: LlamaForCausalLM, length: int) -> torch.Tensor:
    """The rotary positions as unit complex numbers, ``[length, head size / 2]``."""
    positions = torch.arange(length, device=model.device)[None]
    cosine, sine = model.model.rotary_emb(torch.empty(0, dtype=torch.float32, device=model.device), positions)
    half = cosine.shape[-1] // 2
    return torch.complex(cosine[0, :, :half].float(), sine[0, :, :half].float())
