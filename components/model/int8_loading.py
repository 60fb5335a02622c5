"""int8 weights while a model is loaded: a layer's unquantized weights are let go of before the next ones are read.

So a model that does not fit into memory unquantized can be loaded. transformers offers the place: a quantizer of one's
own, which is asked about each weight.
"""

from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.core_model_loading import ConversionOps
from transformers.quantizers import HfQuantizer, register_quantization_config, register_quantizer
from transformers.utils.quantization_config import QuantizationConfigMixin

from components.model.cpu_kernels import CpuKernels
from components.model.quantization import Int8Linear, can_quantize

METHOD = "int8_linear"


@register_quantization_config(METHOD)
class Int8Config(QuantizationConfigMixin):
    """How layers become ``Int8Linear``.

    Attributes:
        kernels: what is fast here.
        keep_full: whether the unquantized weights are kept beside.
        mismatched: weights of another shape than the model has: name, shape and the model's shape.
    """

    def __init__(self, kernels: CpuKernels, keep_full: bool) -> None:
        self.quant_method = METHOD
        self.kernels = kernels
        self.keep_full = keep_full
        self.mismatched: list[tuple[str, torch.Size, torch.Size]] = []


@register_quantizer(METHOD)
class _Int8Quantizer(HfQuantizer):
    requires_calibration = False
    quantization_config: Int8Config
    is_trainable = False

    def param_needs_quantization(self, model: PreTrainedModel, param_name: str, **_: Any) -> bool:
        path = param_name.removesuffix(".weight")
        return path != param_name and can_quantize(model.get_submodule(path))

    def get_quantize_ops(self) -> "_Quantize":
        return _Quantize(self.quantization_config)

    def is_serializable(self) -> bool:
        return False

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **_: Any) -> PreTrainedModel:
        # To transformers it is a model like any other; its layers know what they are.
        del model.config.quantization_config
        model.is_quantized = False
        return model


class _Quantize(ConversionOps):
    def __init__(self, config: Int8Config) -> None:
        self._config = config

    def convert(
        self, input_dict: dict[str, Any], *, model: PreTrainedModel, missing_keys: set[str], **_: Any
    ) -> dict[str, torch.Tensor]:
        """Put quantized layers into the model; gives back what is none."""
        others = {}
        for name, tensors in input_dict.items():
            weight = tensors[0] if isinstance(tensors, list) else tensors
            path = name.removesuffix(".weight")
            layer = model.get_submodule(path)
            if not can_quantize(layer):
                others[name] = weight
                continue
            missing_keys.discard(name)
            wanted: torch.Size = layer.weight.shape
            if weight.shape != wanted:
                self._config.mismatched.append((name, weight.shape, wanted))
                continue
            int8 = Int8Linear.of(weight, self._config.keep_full, self._config.kernels)
            model.set_submodule(path, int8)
        return others
