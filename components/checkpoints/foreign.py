"""Folders that hold something near to a checkpoint: what it is, and how it becomes one."""

from pathlib import Path
from typing import Any

from components.checkpoints.content import read_json_object
from components.checkpoints.errors import LoadError
from components.checkpoints.weight_files import WHOLE_WEIGHTS

ADAPTER = "adapter_config.json"
OTHER_FORMS = {
    "*.h5": "TensorFlow weights (.h5)",
    "*.msgpack": "Flax weights (.msgpack)",
    "*.onnx": "an ONNX model",
    "*.pth": "weights in their authors' own form (.pth)",
}
OTHER_NAMES = ("*.safetensors", "*model*.bin", "*.pt")
QUANTIZATION = ("quantization_config", "compression_config")
"""The fields of config.json that say how a checkpoint was quantized."""

OTHER_FORMS_CURE = (
    "Use the model's folder with config.json and .safetensors files, such as Baichuan2-7B-Chat: python download.py"
)
QUANTIZED_CURE = (
    "Quantized checkpoints cannot be loaded here. Use the unquantized model, Baichuan2-7B-Chat: python download.py "
    "(on the CPU it becomes int8 while it loads); or serve the quantized one with vLLM, "
    "and set BAICHUAN_ENGINE=openai."
)


def explain_foreign(folder: Path) -> str | None:
    """What a folder without a checkpoint of its own holds instead, and what to do; None if that is not known."""
    if (folder / ADAPTER).is_file():
        return (
            f"it holds a LoRA adapter{_base_model(folder)}, not a whole model. Merge it into its base model "
            "with PEFT's merge_and_unload(), save that with save_pretrained(), and name the new folder."
        )
    if method := quantization_of(folder, _config(folder)):
        return f"it holds weights that were quantized with {method}. {QUANTIZED_CURE}"
    if (folder / "zero_to_fp32.py").is_file() or any(folder.glob("global_step*")) or any(folder.glob("*_states.pt")):
        return (
            "it holds the parts that DeepSpeed saves while training. Put them together there with "
            "python zero_to_fp32.py . pytorch_model.bin, and see that config.json and the tokenizer lie beside it."
        )
    if any(folder.glob("pytorch_model_fsdp*")) or any(folder.rglob("*.distcp")):
        return (
            "it holds the parts that FSDP saves while training. Put them together with "
            "accelerate merge-weights, and see that config.json and the tokenizer lie beside the result."
        )
    if inner := _inner_checkpoints(folder):
        return f"the checkpoint lies in a folder inside it. Name that one: {inner[-1]}"
    if any(folder.glob("*.gguf")):
        return "it holds a GGUF file, which is llama.cpp's form. Name the file itself."
    for pattern, form in OTHER_FORMS.items():
        if any(folder.glob(pattern)):
            return f"it holds {form}. {OTHER_FORMS_CURE}"
    others = sorted(file.name for pattern in OTHER_NAMES for file in folder.glob(pattern) if file.is_file())
    if others and (folder / "config.json").is_file():
        return (
            f"its weights have another name than {' or '.join(WHOLE_WEIGHTS)}. If they are the model's, whole and "
            f"unquantized, rename {others[0]}."
        )
    return None


def quantization_of(folder: Path, config: dict[str, Any]) -> str | None:
    """With which method a checkpoint was quantized before it was saved; None if it was not.

    Args:
        folder: the checkpoint's.
        config: its parsed ``config.json``.
    """
    for field in QUANTIZATION:
        if values := config.get(field):
            return _method(values)
    if config.get("quantization"):
        return "MLX"
    if (folder / "quantize_config.json").is_file() or any(
        folder.glob("gptq_model-*")
    ):  # auto-gptq, before it wrote to config.json
        return "GPTQ"
    if (folder / "quant_config.json").is_file():  # llm-awq and AutoAWQ, likewise
        return "AWQ"
    return None


def _method(values: Any) -> str:
    if not isinstance(values, dict):
        return "an unknown method"
    names = {"gptq": "GPTQ", "awq": "AWQ", "bitsandbytes": "bitsandbytes"}
    method = values.get("quant_method") or values.get("quant_type") or values.get("format")
    bits = next((f"{bits}-bit " for bits in (4, 8) if values.get(f"load_in_{bits}bit")), "")
    if method is None and bits:
        method = "bitsandbytes"
    return bits + names.get(str(method).lower(), str(method or "an unknown method"))


def _config(folder: Path) -> dict[str, Any]:
    try:
        return read_json_object(folder / "config.json") if (folder / "config.json").is_file() else {}
    except LoadError:
        return {}


def _base_model(folder: Path) -> str:
    try:
        base = read_json_object(folder / ADAPTER).get("base_model_name_or_path")
    except LoadError:
        base = None
    return f" for {base}" if isinstance(base, str) and base else ""


def _inner_checkpoints(folder: Path) -> list[Path]:
    """Folders one or two levels down that have a config.json, the newest last (a hub cache keeps ``snapshots/*``)."""
    found = [file.parent for depth in ("*", "snapshots/*") for file in folder.glob(f"{depth}/config.json")]
    return sorted(found, key=lambda inner: inner.stat().st_mtime)
