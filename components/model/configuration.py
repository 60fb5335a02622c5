"""The configuration of Baichuan 2: Llama's, under the name that its checkpoints carry."""

import math
from typing import Any

from transformers import LlamaConfig

from components.checkpoints.errors import UnsupportedCheckpointError

BAICHUAN_1_VOCAB_SIZE = 64000


class BaichuanConfig(LlamaConfig):
    """Baichuan 2 7B, as its ``config.json`` describes it."""

    model_type = "baichuan"

    vocab_size: int = 125_696

    model_max_length: int | None = None
    """Context length in tokens: prompt and reply together."""

    def __post_init__(self, **kwargs: Any) -> None:
        if self.model_max_length is None:
            self.model_max_length = self.max_position_embeddings
        # The head never is the embedding itself, for its rows are normalised; see ``weights.untie_head``.
        self.tie_word_embeddings = False
        super().__post_init__(**kwargs)


def check_supported(config: dict[str, Any]) -> None:
    """Refuse the relatives of Baichuan 2 7B that share its ``model_type`` but compute something else.

    Args:
        config: the parsed ``config.json``.

    Raises:
        UnsupportedCheckpointError: this is Baichuan 1, or a 13B model.
    """
    if config.get("model_type") != BaichuanConfig.model_type:
        return
    if "max_position_embeddings" not in config:  # the 13B models use ALiBi and have no table of positions
        raise UnsupportedCheckpointError(
            "This is a 13B Baichuan checkpoint (ALiBi positions), which is not supported yet. "
            "Use Baichuan2-7B-Chat: python download.py"
        )
    if config.get("vocab_size") == BAICHUAN_1_VOCAB_SIZE:  # its head is not normalised, its chat format differs
        raise UnsupportedCheckpointError(
            "This is a checkpoint of the first Baichuan, which is not supported. Use Baichuan2-7B-Chat: "
            "python download.py"
        )


def vocabulary_of(config: Any) -> float:
    """How many tokens a model's embedding has; infinity where its configuration does not tell."""
    size: float = getattr(config.get_text_config(), "vocab_size", math.inf)
    return size
