"""GGUF files, served by llama.cpp in a process of its own, which this application starts, watches and ends.

Neither torch nor transformers is imported.
"""

import json
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from openai import APIError

from components.checkpoints.demo import GENERATION_DEFAULTS
from components.checkpoints.gguf import GgufHeader, read_header
from components.checkpoints.gguf_checks import check_usable
from components.checkpoints.gguf_shape import LEAST_CONTEXT, Shape
from components.checkpoints.locate import Checkpoint
from components.engine.fingerprinting import learn_fingerprint
from components.engine.interface import Engine, EngineInfo, GenerationRequest, Stage
from components.engine.remote.by_ids import EngineByIds
from components.engine.remote.failures import describe
from components.engine.remote.loop import LoopThread
from components.engine.remote.server import Server
from components.engine.sidecar.llama_cpp_dialect import LlamaCppDialect
from components.engine.sidecar.opening import started
from components.engine.sidecar.process import Endpoint, Launch
from components.engine.sidecar.sidecar import Sidecar
from components.engine.vocabulary import Vocabulary
from components.model.chat_format import Message
from components.model.gguf_tokenizer import Encode, GgufTokenizer
from components.model.limits import available_memory, usable_cores
from components.model.split_characters import REPLACEMENT, SplitCharacters
from components.sampling.parameters import SamplingParams
from components.settings import Settings

NAME = "llama.cpp"
PROGRAM = Path(__file__).with_name("llama_cpp_server.py")

SECONDS_TO_READY = 600.0
"""7B weights from a slow disk take minutes."""

WARM_UP: list[Message] = [{"role": "user", "content": "Hi"}]
"""What the model is tried with once; whether its chat template takes it is known before."""

REMEMBERED_TEXTS = 512
"""So many texts' ids are known without asking llama.cpp again."""

CONTEXTS_AT_ONCE = 2
"""Of so many conversations with a full context the keys and values are held, where memory allows."""

MOST_COUNTED = 2**31 - 1
"""llama.cpp counts tokens, and MiB, in 32 bits."""

FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
}  # fmt: skip
"""What llama.cpp calls the types that most weights of a file have (``llama_ftype``)."""

KEYS = {
    "temperature": "temp",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "penalty_repeat",
}
"""Sampling defaults, as GGUF files name them behind ``general.sampling.``."""


def load_llama_cpp(
    checkpoint: Checkpoint, settings: Settings, on_stage: Callable[[Stage], None], full_precision: bool = False
) -> Engine:
    """Start llama.cpp with a GGUF file, and try it once.

    Args:
        checkpoint: the file.
        settings: how many replies at once, how much memory, which device.
        on_stage: called as each stage begins.
        full_precision: whether keys and values are kept in float32, as the reference has them, and not in float16.

    Raises:
        CheckpointError: the file is damaged, or of a kind that cannot be served.
        MessagesError: nobody knows how to chat with its model.
        EngineError: llama.cpp does not load it.
    """
    header = read_header(checkpoint.path)
    shape = check_usable(checkpoint.path, header)
    tokenizer = GgufTokenizer(header)
    chat_format = tokenizer.chat_format()
    chat_format.encode(WARM_UP)
    capacity = _affordable_tokens(shape, settings)
    cache_mib = capacity * shape.bytes_per_token // 2**20
    options = {
        "file": str(checkpoint.path.absolute()),  # not what a link leads to: other parts lie beside the link
        "tokens": capacity,
        "replies": settings.max_batch,
        "cache_mib": min(max(64, cache_mib), MOST_COUNTED),
        "gpu_layers": 0 if settings.device == "cpu" else -1,
        "threads": usable_cores(),
        "full_precision": full_precision,
    }
    on_stage("weights")
    sidecar = Sidecar(NAME, lambda endpoint: _launch(options, endpoint), patience=SECONDS_TO_READY, advice=_advice)
    with started(sidecar, settings) as (server, loop):
        tokenizer.encoder = _encoder(checkpoint, server, loop)
        vocabulary = Vocabulary(chat_format, tokenizer.texts(), tokenizer.size)
        context = min(shape.context, capacity)
        engine = _engine(checkpoint, header, vocabulary, settings, sidecar, server, loop, context, capacity)
        on_stage("warm_up")
        warm_up = SamplingParams(temperature=0.0, max_new_tokens=2)
        for _ in engine.generate(GenerationRequest(WARM_UP, warm_up)):
            pass
    learn_fingerprint(engine, checkpoint.path, settings.data_dir)
    return engine


def _launch(options: dict[str, Any], endpoint: Endpoint) -> Launch:
    environment = {
        "LLAMA_CPP_OPTIONS": json.dumps(options | {"port": endpoint.port}),
        "LLAMA_CPP_KEY": endpoint.key.get_secret_value(),
    }
    return Launch([sys.executable, "-I", str(PROGRAM)], environment)


def _encoder(checkpoint: Checkpoint, server: Server, loop: LoopThread) -> Encode:
    """Asks llama.cpp for the ids of a text, and remembers them."""

    @lru_cache(REMEMBERED_TEXTS)
    def ids_of(text: str) -> tuple[int, ...]:
        body = {"content": text, "add_special": False, "parse_special": True}
        try:
            return tuple(loop.run(server.ask("/tokenize", body))["tokens"])
        except APIError as error:
            raise describe(error, server, checkpoint.name).error from error

    return lambda text: list(ids_of(text)) if text else []


def _engine(
    checkpoint: Checkpoint,
    header: GgufHeader,
    vocabulary: Vocabulary,
    settings: Settings,
    sidecar: Sidecar,
    server: Server,
    loop: LoopThread,
    context: int,
    capacity: int,
) -> EngineByIds:
    info = EngineInfo(
        model=checkpoint.name,
        is_demo=checkpoint.is_demo,
        device="cpu" if settings.device == "cpu" else f"{usable_cores()} cores",
        dtype=_type_of(checkpoint.path, header),
        context_length=context,
        defaults=_defaults(header, checkpoint.is_demo).fitting(context),
        engine=NAME,
        vocabulary=vocabulary.size,
        tells_logprobs=True,
    )
    versions = {name: version(name) for name in ("xllamacpp", "numpy")}
    split = SplitCharacters(vocabulary.texts, vocabulary.size, vocabulary.chat_format.encode_text(REPLACEMENT))
    return EngineByIds(server, loop, info, settings, vocabulary, LlamaCppDialect(split), sidecar, capacity, versions)


def _affordable_tokens(shape: Shape, settings: Settings) -> int:
    """Tokens whose keys and values are held: as the setting says, else within an eighth of the free memory.

    As much again may be kept in main memory of conversations that nobody writes in at the moment.
    """
    size = settings.cache_gb * 1e9 if settings.cache_gb else 0.25 * available_memory()
    most = min(shape.context * min(settings.max_batch, CONTEXTS_AT_ONCE), MOST_COUNTED)
    return max(LEAST_CONTEXT, int(min(size / 2 / shape.bytes_per_token, most)))


def _defaults(header: GgufHeader, is_demo: bool) -> SamplingParams:
    """The file's own sampling parameters; the demo model's are known here."""
    known: dict[str, Any] = {name: header.values.get(f"general.sampling.{key}") for name, key in KEYS.items()}
    # They are stored in float32.
    known = {name: round(value, 4) if isinstance(value, float) else value for name, value in known.items()}
    given = dict(GENERATION_DEFAULTS) if is_demo else {"do_sample": None}
    given |= {name: value for name, value in known.items() if value is not None}
    return SamplingParams.from_generation_config(cast("Any", SimpleNamespace(**given)))


def _type_of(file: Path, header: GgufHeader) -> str:
    """The type of the weights, as far as the file says it."""
    number = header.values.get("general.file_type")
    named = FILE_TYPES.get(number) if isinstance(number, int) else None
    return f"GGUF {named or file.stem.rpartition('.')[2]}"


def _advice(lines: Sequence[str]) -> str:
    text = " ".join(lines).lower()
    if "unknown model architecture" in text or "unknown pre-tokenizer" in text:
        return "This llama.cpp does not know the model's kind. Use another model, or a newer version of xllamacpp."
    if "libgomp" in text:
        return "It needs the system's OpenMP library: apt-get install libgomp1."
    if "alloc" in text or "out of memory" in text:
        return "The memory does not suffice: set BAICHUAN_CACHE_GB to less, or take a file with fewer bits."
    return "Try another file of this model; if it is whole, the log says more."
