"""Names of weights without what training frameworks put around a model."""

import re
from collections.abc import Iterable

WRAPPERS = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
"""torch.compile, FSDP, activation checkpointing, Lightning's strategies."""

PARALLEL = re.compile(r"^(module\.)+")
"""DataParallel and DeepSpeed."""

EMBEDDING = "embed_tokens.weight"
BACKBONE = "model."
HEAD = "lm_head."


def plain_names(keys: Iterable[str]) -> dict[str, str]:
    """For each stored name the one that the model itself has.

    Taken off are the wrappers' parts and what a whole Llama-like model is held under (``model.model.layers.…`` where a
    LightningModule has a member ``model``); put on is the ``model.`` that a backbone saved by itself lacks. Names of
    other kinds of models only lose the wrappers' parts.
    """
    names = {key: PARALLEL.sub("", WRAPPERS.sub("", key)) for key in keys}
    embedding = next((name for name in names.values() if name.endswith(EMBEDDING)), None)
    if embedding is None:
        return names
    if embedding == EMBEDDING:
        return {key: name if name.startswith(HEAD) else BACKBONE + name for key, name in names.items()}
    outer = embedding.removesuffix(BACKBONE + EMBEDDING)
    if outer != embedding and all(name.startswith(outer) for name in names.values()):
        return {key: name.removeprefix(outer) for key, name in names.items()}
    return names
