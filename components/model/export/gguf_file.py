"""Writing Baichuan 2 7B, or a Llama-type model, as one GGUF file, which llama.cpp and what is built on it load.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Keys and names of weights are those of the
``gguf`` package, which llama.cpp's own converter writes with.
"""

from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFWriter
from tqdm import tqdm
from transformers import LlamaConfig, PreTrainedTokenizerBase
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from components.checkpoints.errors import UnsupportedCheckpointError
from components.checkpoints.export_target import building_file
from components.model.configuration import BaichuanConfig
from components.model.export.as_llama import llama_weights, role_template
from components.model.export.gguf_vocabulary import vocabulary_for_gguf
from components.model.export.gguf_weights import (
    TYPES,
    bytes_of,
    encoded,
    gguf_names,
    stored_type,
    with_heads_interleaved,
)
from components.model.library_errors import explained
from components.model.opening import OpenedCheckpoint, open_checkpoint
from components.model.stored_weights import in_reading_order
from components.model.weight_checks import check_llama
from components.model.weights import HEAD, ROTARY_FREQUENCIES, Conversion, to_llama

FIXED_ROTATIONS = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary positions that do not change with the length of a text."""

ROTATION_FACTORS = "rope_freqs.weight"

Plan = list[tuple[str, torch.Size, GGMLQuantizationType]]
"""Each weight's name in transformers, its shape, and the type in which it is written."""


def export_gguf(source: Path, target: Path, kind: str) -> None:
    """Write the checkpoint in ``source`` to the file ``target``.

    Args:
        source: a folder with a Baichuan 2 7B, or a Llama-type model.
        target: a file that is not there yet.
        kind: of numbers, one of ``TYPES``.

    Raises:
        UnsupportedCheckpointError: it is another kind of model, or has a tokenizer that GGUF has no words for.
        CheckpointError: it is not whole or damaged, ``target`` is taken, or cannot be written, as on a full disk.
            Nothing is left then.
    """
    checkpoint = open_checkpoint(source)
    convert = _conversion(source, checkpoint.config)
    check_llama(source, checkpoint.config, checkpoint.weights, convert)
    plan = _plan(checkpoint, convert, kind)
    with building_file(target, sum(bytes_of(shape, type_) for _, shape, type_ in plan)) as partial:
        print(f"Writing {source} as {kind} to {target} …", flush=True)
        writer = GGUFWriter(partial, MODEL_ARCH_NAMES[MODEL_ARCH.LLAMA])
        try:
            _describe(writer, checkpoint, source.resolve().name, kind)
            _write_weights(writer, checkpoint, convert, plan)
        finally:
            writer.close()
    print(f"{target} is complete. llama.cpp serves it with: llama-server --model {target} --jinja")


def _conversion(source: Path, config: Any) -> Conversion:
    """From stored weights to those of a Llama model.

    Raises:
        UnsupportedCheckpointError: the model is none.
    """
    if isinstance(config, BaichuanConfig):
        return to_llama
    if config.model_type != LlamaConfig.model_type or config.hidden_act != "silu":
        raise UnsupportedCheckpointError(
            f"{source} holds a model of type {config.model_type!r}. Baichuan 2 7B and Llama-type models can be "
            "written as GGUF from here; llama.cpp's own convert_hf_to_gguf.py knows more."
        )

    def convert(name: str, weight: torch.Tensor) -> dict[str, torch.Tensor]:
        is_superfluous = name.endswith(ROTARY_FREQUENCIES) or (config.tie_word_embeddings and name == HEAD)
        return {} if is_superfluous else {name: weight}

    return convert


def _describe(writer: GGUFWriter, checkpoint: OpenedCheckpoint, name: str, kind: str) -> None:
    """Everything but the weights: the shape, the tokenizer, the chat template, and the sampling defaults."""
    config, (_, file_type) = checkpoint.config, TYPES[kind]
    head_size: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(getattr(config, "model_max_length", None) or config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    _describe_tokenizer(writer, checkpoint.tokenizer, config.vocab_size, checkpoint.generation)
    if template := role_template(checkpoint) or checkpoint.tokenizer.chat_template:
        writer.add_chat_template(template)
    _describe_sampling(writer, checkpoint.generation)


def _describe_tokenizer(
    writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, rows: int, generation: dict[str, Any]
) -> None:
    vocabulary = vocabulary_for_gguf(tokenizer, rows)
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.cut)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
    if vocabulary.merges:
        writer.add_token_merges(vocabulary.merges)
    writer.add_add_space_prefix(vocabulary.space_prefix)
    writer.add_remove_extra_whitespaces(False)
    framed: list[int] = tokenizer("a").input_ids
    writer.add_add_bos_token(framed[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(framed[-1] == tokenizer.eos_token_id)
    ends = generation.get("eos_token_id")
    ends = ends if isinstance(ends, list) else [tokenizer.eos_token_id if ends is None else ends]
    # llama.cpp ends a reply at each of these: GGUF has names for three.
    named = [
        *zip((writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id), ends, strict=False),
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ]
    for add, token in named:
        if token is not None and token < rows:  # a tokenizer may have some that the model never got rows for
            add(token)


def _describe_sampling(writer: GGUFWriter, generation: dict[str, Any]) -> None:
    """The checkpoint's defaults, under the keys that llama.cpp's server takes its own from, in transformers' order."""
    writer.add_sampling_sequence("penalties;temperature;top_k;top_p;min_p")
    writer.add_sampling_penalty_last_n(-1)  # transformers looks at everything, llama.cpp at 64 tokens
    writer.add_sampling_min_p(float(generation.get("min_p") or 0.0))  # llama.cpp's own default is 0.05
    temperature = 0.0 if generation.get("do_sample") is False else generation.get("temperature")
    if temperature is not None:
        writer.add_sampling_temp(float(temperature))
    if (top_k := generation.get("top_k")) is not None:
        writer.add_sampling_top_k(top_k)
    if (top_p := generation.get("top_p")) is not None:
        writer.add_sampling_top_p(float(top_p))
    if (penalty := generation.get("repetition_penalty")) is not None:
        writer.add_sampling_penalty_repeat(float(penalty))


def _plan(checkpoint: OpenedCheckpoint, convert: Conversion, kind: str) -> Plan:
    """The weights in the order in which they are read."""
    on_meta = (
        convert(stored, torch.empty(weight.shape, dtype=weight.dtype, device="meta"))
        for stored, weight in in_reading_order(checkpoint.weights)
    )
    return [
        (name, part.shape, stored_type(name, part.shape, kind)) for parts in on_meta for name, part in parts.items()
    ]


def _write_weights(writer: GGUFWriter, checkpoint: OpenedCheckpoint, convert: Conversion, plan: Plan) -> None:
    """The header with the names of all weights, then one after the other as it is read."""
    name_of = gguf_names(checkpoint.config)
    factors = _rotation_factors(writer, checkpoint.config)
    if factors is not None:
        _announce(writer, ROTATION_FACTORS, factors.shape, GGMLQuantizationType.F32)
    for name, shape, type_ in plan:
        _announce(writer, name_of(name) or name, shape, type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if factors is not None:
        writer.write_tensor_data(factors.numpy())
    stored_bytes = sum(weight.shape.numel() * weight.dtype.itemsize for weight in checkpoint.weights.values())
    with tqdm(total=stored_bytes, desc="Writing", unit="B", unit_scale=True, leave=False) as progress:
        weights = llama_weights(checkpoint.weights, progress, convert)
        for (name, weight), (_, _, type_) in zip(weights, plan, strict=True):
            with explained(checkpoint.folder, name):
                numbers = encoded(name, with_heads_interleaved(name, weight, checkpoint.config), type_)
            writer.write_tensor_data(numbers.view(_Written))


class _Written(np.ndarray[Any, Any]):
    """Numbers that are written as any bytes are, so that the system says why it takes no more, which numpy does not."""

    def tofile(self, file: IO[bytes]) -> None:  # type: ignore[override]
        """Write them; this is what ``GGUFWriter`` calls."""
        file.write(np.ascontiguousarray(self).data)


def _announce(writer: GGUFWriter, name: str, shape: torch.Size, kind: GGMLQuantizationType) -> None:
    # The type of number is given by the last argument, and the one before not looked at.
    writer.add_tensor_info(name, shape, np.dtype(np.float32), bytes_of(shape, kind), raw_dtype=kind)


def _rotation_factors(writer: GGUFWriter, config: LlamaConfig) -> torch.Tensor | None:
    """By what the rotary frequencies of longer contexts are divided, ``[head size / 2]``; None for plain ones.

    Raises:
        UnsupportedCheckpointError: they change with the length of the text.
    """
    rope = dict(config.rope_parameters or {})
    rope_type = rope.get("rope_type", "default")
    if rope_type not in FIXED_ROTATIONS:
        raise UnsupportedCheckpointError(f"Rotary positions of type {rope_type!r} cannot be written as GGUF from here.")
    if rope_type == "default":
        return None
    rotary = LlamaRotaryEmbedding(config)
    size = 2 * len(rotary.inv_freq)
    plain = rope["rope_theta"] ** -(torch.arange(0, size, 2, dtype=torch.float32) / size)
    if rotary.attention_scaling != 1:
        writer.add_rope_scaling_attn_factors(rotary.attention_scaling)
    factors: torch.Tensor = plain / rotary.inv_freq.float()
    return factors
