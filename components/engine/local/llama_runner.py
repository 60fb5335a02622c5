"""Llama's forward pass for many sequences at once, in few operators.

At the size of a chat model on a CPU, and for one token on a GPU too, a step costs as much in operators and in the
Python between them as in arithmetic. So q, k and v are one matrix here, and gate and up another; rotary positions are
one complex product; and attention is made for the processor, see ``attention.py``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaForCausalLM, PreTrainedModel

from components.engine.local.attention import (
    AttentionInPlace,
    AttentionTogether,
    Shape,
    Step,
    row_count,
    told_numbers,
)
from components.engine.local.block_pool import BLOCK, BlockTable
from components.engine.local.kernels import computes_rows_alike, int8, pack, with_fixed_rows
from components.engine.local.rotary import rotations
from components.engine.local.runner import Runner
from components.engine.local.step_graphs import Capture, CudaCapture, StepGraphs
from components.model.cpu_kernels import Linear
from components.model.generation import context_length_of
from components.model.quantization import Int8Linear

KNOWN_ROWS = 16
"""So many tokens that are known already are decoded at once, where a row gives the same bits as alone."""

CAPTURED_TOKENS = 16_384
"""Up to so many gathered tokens a step is captured. With more, reading them takes longer than launching does."""

CAPTURED_ROWS = 64
"""And up to so many rows."""

GATHERED_BYTES = 64
"""For each of them beside its keys and values: where it lies, and who sees it."""

LAYER_KERNELS, OTHER_KERNELS = 20, 40
"""That a step launches: somewhat more than operators are counted."""


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


@dataclass(frozen=True, eq=False)
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

    def __init__(
        self,
        model: LlamaForCausalLM,
        max_batch: int = 16,
        together: bool | None = None,
        capture: Capture | None = None,
    ) -> None:
        """Build from a model; its weights move here layer by layer, and it cannot be run any more.

        Args:
            model: of Llama's kind, see ``can_run``.
            max_batch: the most sequences of a step.
            together: whether a step attends for all sequences in one call; None: on a GPU.
            capture: how steps that attend so are captured; None: as CUDA graphs, where there are such.
        """
        config = model.config
        self.context_length = context_length_of(model)
        self.vocabulary = config.vocab_size
        self.device = model.device
        self._shape = Shape(
            config.num_hidden_layers,
            config.num_attention_heads,
            config.num_key_value_heads,
            model.model.layers[0].self_attn.head_dim,
        )
        self._eps: float = config.rms_norm_eps
        self._dtype: torch.dtype = model.dtype
        self._rotary = model.model.rotary_emb
        self._embedding = model.model.embed_tokens.weight
        self._norm = model.model.norm.weight
        self._intermediate: int = config.intermediate_size
        self.bytes_per_token = 2 * self._shape.layers * self._shape.kv_heads * self._shape.size * self._dtype.itemsize
        together = self.device.type != "cpu" if together is None else together
        self._attention = (AttentionTogether if together else AttentionInPlace)(self._shape, self._dtype, self.device)
        if together and capture is None and self.device.type == "cuda":
            capture = CudaCapture(self.device)
        self._capture = capture if together else None
        self._most_rows = max(row_count(max_batch), KNOWN_ROWS)  # of a step, those of no sequence too
        self._captured_rows = min(row_count(max_batch), CAPTURED_ROWS)
        self._captured_numbers = told_numbers(self._captured_rows, CAPTURED_TOKENS // self._captured_rows)
        self.step_bytes = self._most_step_bytes() if self._capture else 0
        quantized = next((module for module in model.modules() if isinstance(module, Int8Linear)), None)
        self._weights = _Weights([], pack(model.lm_head))
        self._few_rows_weights = _Weights([], int8(model.lm_head)) if quantized else None
        self._few_rows = quantized.kernels.int8_rows if quantized else 0
        uses_int8 = quantized is not None and quantized.kernels.any_rows == "int8"
        self._exact_weights = (self._few_rows_weights if uses_int8 else None) or self._weights
        for layer in model.model.layers:
            self._take(layer)
        self._exact_rows = self._find_exact_rows(self._exact_weights, self._most_rows, may_pad=together)
        self._lone_rows_alike = self._find_exact_rows(self._weights_for(1), KNOWN_ROWS, may_pad=False) == 0

    def reserve(self, blocks: int) -> None:
        """See ``Runner.reserve``."""
        self._attention.reserve(blocks)
        # No sequence has more tokens than the blocks hold, and some models call a context theirs that no memory holds.
        self._rotations = rotations(self._rotary, min(self.context_length, blocks * BLOCK), self.device)
        if self._capture and isinstance(self._attention, AttentionTogether):
            self._attention.graphs = StepGraphs(
                self._capture, self._captured_numbers, self._captured_rows, self.vocabulary, self.device
            )

    @torch.inference_mode()
    def prefill(self, table: BlockTable, begin: int, tokens: Sequence[int], all_logits: bool = False) -> torch.Tensor:
        """See ``Runner.prefill``."""
        positions = torch.arange(begin, begin + len(tokens), device=self.device)
        attend = self._attention.reading(table, begin, len(tokens))
        hidden = self._run(self._weights, Step(torch.tensor(tokens, device=self.device), positions, attend))
        return self._logits(self._weights, hidden) if all_logits else self._logits(self._weights, hidden[-1:])[0]

    @torch.inference_mode()
    def decode(
        self,
        tables: Sequence[BlockTable],
        positions: Sequence[int],
        tokens: Sequence[int],
        exact: Sequence[bool] = (),
    ) -> torch.Tensor:
        """See ``Runner.decode``."""
        if not any(exact):
            return self._decode(self._weights_for(len(tables)), tables, positions, tokens)
        if len(tables) > 1 and (self._exact_rows is None or not self._attention.rows_alike):
            return self._decode_some_alone(tables, positions, tokens, exact)
        return self._decode(self._exact_weights, tables, positions, tokens, self._exact_rows or 0)

    @torch.inference_mode()
    def decode_known(self, table: BlockTable, begin: int, tokens: Sequence[int], exact: bool) -> torch.Tensor:
        """See ``Runner.decode_known``: as many sequences of one token each, which lie in the same blocks."""
        if exact:
            weights, rows, alike = self._exact_weights, self._exact_rows or 0, self._exact_rows is not None
        else:
            weights, rows, alike = self._weights_for(1), 0, self._lone_rows_alike
        at_once = KNOWN_ROWS if alike and self._attention.rows_alike else 1
        read = []
        for first in range(0, len(tokens), at_once):
            some = tokens[first : first + at_once]
            positions = range(begin + first, begin + first + len(some))
            read.append(self._decode(weights, [table] * len(some), positions, some, rows))
        return torch.cat(read)

    def _weights_for(self, rows: int) -> _Weights:
        """The faster ones for a step of so many sequences, none of which must be exact."""
        few = self._few_rows_weights if rows <= self._few_rows else None
        return few or self._weights

    def _decode_some_alone(
        self, tables: Sequence[BlockTable], positions: Sequence[int], tokens: Sequence[int], exact: Sequence[bool]
    ) -> torch.Tensor:
        """One step for each of those that must be exact, and one for all others."""
        others = [index for index, alone in enumerate(exact) if not alone]
        groups = [[index] for index, alone in enumerate(exact) if alone] + ([others] if others else [])
        logits = torch.empty(len(tables), self.vocabulary, device=self.device)
        for group in groups:
            logits[group] = self._decode(
                self._exact_weights,
                [tables[index] for index in group],
                [positions[index] for index in group],
                [tokens[index] for index in group],
            )
        return logits

    def _decode(
        self,
        weights: _Weights,
        tables: Sequence[BlockTable],
        positions: Sequence[int],
        tokens: Sequence[int],
        rows: int = 0,
    ) -> torch.Tensor:
        def forward(step: Step) -> torch.Tensor:
            return self._logits(weights, self._run(weights, step, rows))[: len(step.tokens)]

        return self._attention.decode(tables, positions, tokens, forward, (weights, rows))

    def _run(self, weights: _Weights, step: Step, rows: int = 0) -> torch.Tensor:
        """All layers, over ``[n]`` tokens: ``[n, hidden]``, or over at least so many ``rows``."""
        attending = len(step.tokens)
        idle = max(0, rows - attending)
        tokens, positions = (functional.pad(one, (0, idle)) if idle else one for one in (step.tokens, step.positions))
        hidden = functional.embedding(tokens, self._embedding)
        rotations = self._rotations[positions][:, None]
        count, rotated = len(hidden), self._shape.heads + self._shape.kv_heads
        for index, layer in enumerate(weights.layers):
            qkv = layer.qkv(self._normalized(hidden, layer.attention_norm)).view(count, -1, self._shape.size)
            pairs = torch.view_as_complex(qkv[:, :rotated].float().view(count, rotated, -1, 2))
            qkv[:, :rotated] = torch.view_as_real(pairs * rotations).flatten(-2)
            mixed = step.attend(index, qkv[:attending]).reshape(attending, -1)
            hidden = hidden + layer.output(functional.pad(mixed, (0, 0, 0, idle)) if idle else mixed)
            gate, up = layer.gate_up(self._normalized(hidden, layer.mlp_norm)).chunk(2, dim=-1)
            hidden = hidden + layer.down(functional.silu(gate).mul_(up))
        return hidden

    def _logits(self, weights: _Weights, hidden: torch.Tensor) -> torch.Tensor:
        return weights.head(self._normalized(hidden, self._norm)).float()

    def _most_step_bytes(self) -> int:
        """See ``Runner.step_bytes``: what captured steps come to hold."""
        rows, shape = self._captured_rows, self._shape
        gathered = CAPTURED_TOKENS * (self.bytes_per_token // shape.layers + GATHERED_BYTES)
        # At the most two of the widest are there at once: gate and up with their product, or the logits in two types.
        # A step that seeds are exact in may have more rows than are captured.
        widest = max(4 * self.vocabulary, 2 * self._dtype.itemsize * self._intermediate)
        between = gathered + 2 * self._most_rows * widest
        kernels = LAYER_KERNELS * shape.layers + OTHER_KERNELS
        return StepGraphs.most_bytes(self._captured_numbers, rows, self.vocabulary, between, kernels)

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

    def _find_exact_rows(self, weights: _Weights, most: int, may_pad: bool) -> int | None:
        """With how many rows a row of a step is the same to the bit whoever else is there.

        One layer stands for all, which have its shapes.

        Args:
            weights: with which kernels.
            most: rows of a step.
            may_pad: whether more rows take hardly longer, as on a GPU.

        Returns:
            0 for any number; None if there is no such number.
        """
        kernels = [*weights.layers[0].linears, weights.head]
        hidden, mixed, between = self._norm.shape[0], self._shape.heads * self._shape.size, self._intermediate
        widths = [hidden, mixed, hidden, between, hidden]

        def rows_alike(form: Callable[[Linear], Linear]) -> bool:
            return all(
                computes_rows_alike(form(kernel), width, most, self._dtype, self.device)
                for kernel, width in zip(kernels, widths, strict=True)
            )

        if rows_alike(lambda kernel: kernel):
            return 0
        return most if may_pad and rows_alike(lambda kernel: with_fixed_rows(kernel, most)) else None

    def _interleaved(self, *rotated: Any) -> torch.Tensor:
        """An order of q's and k's rows in which the two numbers that are rotated together lie side by side.

        transformers rotates number i of a head with number i + size/2. The order within a head does not matter to
        the product of a query and a key.
        """
        rows = sum(module.weight.shape[0] for module in rotated)
        return torch.arange(rows).view(-1, 2, self._shape.size // 2).transpose(1, 2).flatten()


def _join(modules: Sequence[nn.Module], order: torch.Tensor | None = None) -> nn.Module:
    """One linear layer instead of several on the same input; the first rows may get another order."""

    def joined(name: str) -> torch.Tensor:
        rows = torch.cat([getattr(module, name).detach() for module in modules])
        if order is not None:
            rows[: len(order)] = rows[order.to(rows.device)]
        return rows

    first = modules[0]
    if isinstance(first, Int8Linear):
        full = None if first.full is None else joined("full")
        return Int8Linear(joined("weight"), joined("scale"), full, first.kernels)
    weight = joined("weight")
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.weight = nn.Parameter(weight, requires_grad=False)
    return linear
