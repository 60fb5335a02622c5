"""Llama's forward pass for many sequences at once, in few operators.

At the size of a chat model on a CPU, and for one token on a GPU too, a step costs as much in operators and in the
Python between them as in arithmetic. So q, k and v are one matrix here, and gate and up another; rotary positions are
one complex product; and attention reads the keys and values of each sequence where they lie, which is in one piece
unless the sequence shares another one's beginning.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right
from transformers import LlamaForCausalLM, PreTrainedModel

from components.engine.local.block_pool import BLOCK, BlockTable
from components.engine.local.kernels import Linear, computes_rows_alike, int8, pack, with_fixed_rows
from components.engine.local.runner import Runner
from components.model.generation import context_length_of
from components.model.quantization import INT8_ROWS, Int8Linear

FEW_TOKENS = 64
"""Up to so many tokens are read with a kv head's query heads as more queries of one head. Measured on two cores with 9
heads over 3 and 1,468 tokens, in µs for 1, 33 and 256 tokens: 98, 880 and 5,800, else 620, 1,350 and 5,700."""


@dataclass(frozen=True)
class _Layer:
    attention_norm: torch.Tensor
    qkv: Linear
    output: Linear
    mlp_norm: torch.Tensor
    gate_up: Linear
    down: Linear

    @property
    def linears(self) -> tuple[Linear, ...]:
        return self.qkv, self.output, self.gate_up, self.down


@dataclass(frozen=True)
class _Weights:
    """All layers and the head, by one kind of kernel."""

    layers: list[_Layer]
    head: Linear


class LlamaRunner(Runner):
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

    def __init__(self, model: LlamaForCausalLM, max_batch: int = 16) -> None:
        """Build from a model; its weights move here layer by layer, and it cannot be run any more.

        ``max_batch`` is the most sequences of a step.
        """
        config = model.config
        self.context_length = context_length_of(model)
        self.vocabulary = config.vocab_size
        self.device = model.device
        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._size: int = model.model.layers[0].self_attn.head_dim
        self._eps: float = config.rms_norm_eps
        self._dtype: torch.dtype = model.dtype
        self._rotations = _rotations(model, self.context_length)
        self._embedding = model.model.embed_tokens.weight
        self._norm = model.model.norm.weight
        self._layers: int = config.num_hidden_layers
        self._intermediate: int = config.intermediate_size
        self.bytes_per_token = 2 * self._layers * self._kv_heads * self._size * self._dtype.itemsize
        quantized = any(isinstance(module, Int8Linear) for module in model.modules())
        self._weights = _Weights([], pack(model.lm_head))
        self._few_rows_weights = _Weights([], int8(model.lm_head)) if quantized else None
        for layer in model.model.layers:
            self._take(layer)
        self._exact_weights = self._find_exact(max_batch)

    def reserve(self, blocks: int) -> None:
        """See ``Runner.reserve``.

        ``_states`` is ``[layers, 2, kv heads, slots, head size]``. In memory a head's keys lie side by side on the
        CPU, where attention goes through them one head after the other (2.8 times as fast with 32 heads), and a
        token's heads elsewhere, as paged kernels want them.
        """
        shape = [self._layers, 2, self._kv_heads, blocks * BLOCK, self._size]
        if self.device.type == "cpu":
            self._states = torch.empty(shape, dtype=self._dtype)
        else:
            shape[2], shape[3] = shape[3], shape[2]
            self._states = torch.empty(shape, dtype=self._dtype, device=self.device).transpose(2, 3)

    @torch.inference_mode()
    def prefill(self, table: BlockTable, begin: int, tokens: Sequence[int], all_logits: bool = False) -> torch.Tensor:
        """See ``Runner.prefill``."""
        end = begin + len(tokens)
        news_at, known_at = table.spans(begin, end), table.spans(0, end)
        mask = self._causal_mask(len(tokens), end)
        few = self._heads != self._kv_heads and self.device.type == "cpu" and len(tokens) <= FEW_TOKENS
        if few and mask is not None:
            mask = mask.repeat(self._heads // self._kv_heads, 1)

        def attend(index: int, qkv: torch.Tensor) -> torch.Tensor:
            states = self._states[index]
            news = qkv[:, self._heads :].view(-1, 2, self._kv_heads, self._size).permute(1, 2, 0, 3)
            done = 0
            for first, last in news_at:
                states[:, :, first:last] = news[:, :, done : done + last - first]
                done += last - first
            known = _joined([states[:, :, first:last] for first, last in known_at])
            queries, keys, values = qkv[:, : self._heads], known[None, 0], known[None, 1]
            if few:
                return self._attend_grouped(queries, keys, values, mask)
            mixed = functional.scaled_dot_product_attention(
                queries[None].transpose(1, 2), keys, values, attn_mask=mask, enable_gqa=self._heads != self._kv_heads
            )
            return mixed[0].transpose(0, 1)

        hidden = self._run(self._weights, tokens, self._rotations[begin:end, None], attend)
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
        if self.device.type == "cuda":
            return causal_lower_right(new, length)  # a kernel that needs no mask in memory
        return torch.ones(new, length, dtype=torch.bool, device=self.device).tril(length - new)

    @torch.inference_mode()
    def decode(
        self,
        tables: Sequence[BlockTable],
        positions: Sequence[int],
        tokens: Sequence[int],
        exact: Sequence[bool] = (),
    ) -> torch.Tensor:
        """See ``Runner.decode``."""
        if any(exact) and self._exact_weights is None and len(tables) > 1:
            return self._decode_some_alone(tables, positions, tokens, exact)
        weights = self._weights
        if any(exact):
            weights = self._exact_weights or weights
        elif len(tables) <= INT8_ROWS:
            weights = self._few_rows_weights or weights
        return self._decode(weights, tables, positions, tokens)

    def _decode_some_alone(
        self, tables: Sequence[BlockTable], positions: Sequence[int], tokens: Sequence[int], exact: Sequence[bool]
    ) -> torch.Tensor:
        """One step for each of those that must be exact, and one for all others."""
        others = [index for index, alone in enumerate(exact) if not alone]
        groups = [[index] for index, alone in enumerate(exact) if alone] + ([others] if others else [])
        logits = torch.empty(len(tables), self.vocabulary, device=self.device)
        for group in groups:
            logits[group] = self._decode(
                self._weights,
                [tables[index] for index in group],
                [positions[index] for index in group],
                [tokens[index] for index in group],
            )
        return logits

    def _decode(
        self, weights: _Weights, tables: Sequence[BlockTable], positions: Sequence[int], tokens: Sequence[int]
    ) -> torch.Tensor:
        # Views of every layer's place for the new token, and of all keys and values up to it: made at once, because
        # making them one by one in every layer takes longer than the attention itself.
        places: list[tuple[torch.Tensor, ...]] = []
        keys: list[list[tuple[torch.Tensor, ...]]] = []
        values: list[list[tuple[torch.Tensor, ...]]] = []
        for table, position in zip(tables, positions, strict=True):
            ((slot, _),) = table.spans(position, position + 1)
            places.append(self._states[:, :, :, slot].unbind())
            spans = table.spans(0, position + 1)
            for kind, views in ((0, keys), (1, values)):
                views.append([self._states[:, kind, None, :, first:last].unbind() for first, last in spans])
        group = self._heads // self._kv_heads

        def attend(index: int, qkv: torch.Tensor) -> torch.Tensor:
            queries = qkv[:, : self._heads].view(-1, 1, self._kv_heads, group, self._size).unbind()
            news = qkv[:, self._heads :].view(-1, 2, self._kv_heads, self._size).unbind()
            mixed = []
            for number, (query, new) in enumerate(zip(queries, news, strict=True)):
                places[number][index].copy_(new)
                own_keys, own_values = (_joined([view[index] for view in kind[number]]) for kind in (keys, values))
                mixed.append(functional.scaled_dot_product_attention(query, own_keys, own_values))
            return torch.cat(mixed)

        rotations = self._rotations[torch.tensor(positions, device=self.device)][:, None]
        return self._logits(weights, self._run(weights, tokens, rotations, attend))

    def _run(
        self,
        weights: _Weights,
        tokens: Sequence[int],
        rotations: torch.Tensor,
        attend: Callable[[int, torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        """All layers, over ``[n]`` tokens: ``[n, hidden]``. ``attend`` mixes ``[n, heads + 2 kv heads, head size]``."""
        hidden = functional.embedding(torch.tensor(tokens, device=self.device), self._embedding)
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

    def _find_exact(self, max_batch: int) -> _Weights | None:
        """Kernels for which a sequence's row is the same to the bit whoever else is in the step; None: there are none.

        One layer stands for all, which have its shapes.
        """

        def rows_alike(weights: _Weights) -> bool:
            most = max(2, max_batch)
            kernels = [*weights.layers[0].linears, weights.head]
            hidden, mixed, between = self._norm.shape[0], self._heads * self._size, self._intermediate
            widths = [hidden, mixed, hidden, between, hidden]
            return all(
                computes_rows_alike(kernel, width, most, self._dtype, self.device)
                for kernel, width in zip(kernels, widths, strict=True)
            )

        if rows_alike(self._weights):
            return self._weights
        if self.device.type == "cpu":
            return None  # more rows take longer there
        padded = _Weights(
            [
                _Layer(
                    layer.attention_norm,
                    with_fixed_rows(layer.qkv, max_batch),
                    with_fixed_rows(layer.output, max_batch),
                    layer.mlp_norm,
                    with_fixed_rows(layer.gate_up, max_batch),
                    with_fixed_rows(layer.down, max_batch),
                )
                for layer in self._weights.layers
            ],
            with_fixed_rows(self._weights.head, max_batch),
        )
        return padded if rows_alike(padded) else None

    def _interleaved(self, *rotated: Any) -> torch.Tensor:
        """An order of q's and k's rows in which the two numbers that are rotated together lie side by side.

        transformers rotates number i of a head with number i + size/2. The order within a head does not matter to
        the product of a query and a key.
        """
        rows = sum(module.weight.shape[0] for module in rotated)
        return torch.arange(rows).view(-1, 2, self._size // 2).transpose(1, 2).flatten()


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """``[…, tokens, size]``: the part itself where there is one, so that nothing is copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=-2)


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
