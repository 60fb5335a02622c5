"""llama.cpp's own server with one GGUF file, as a program of its own.

It is run by its path, not as a module, and imports nothing of the application, so that it is ready as soon as the
weights are. Who started it ends it.
"""

import json
import os
import sys
import threading
from types import ModuleType
from typing import Any

OPTIONS, KEY = "LLAMA_CPP_OPTIONS", "LLAMA_CPP_KEY"
"""Names of the environment variables that say what to serve, as JSON, and the key to ask for."""

BATCH = 256
"""Tokens of prompts that are read in one go, in which nobody else gets a token. With llama.cpp's own 2,048 a CPU that
reads 14 tokens of a 7B in a second would leave the others without one for two minutes."""


def main() -> int:
    """Serve until somebody ends the process; return its exit code if that cannot begin."""
    options: dict[str, Any] = json.loads(os.environ[OPTIONS])
    # OpenMP's threads wait for each other by spinning, in vain where other programs want the cores: with five of them
    # on two, 5 tokens/s were written instead of 35. It is read when the library is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp

        server = xllamacpp.Server(_parameters(xllamacpp, options))
    except Exception as error:  # noqa: BLE001 the edge of the program; the end of its log is what people are told
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 1
    print("listening on", server.listening_address, flush=True)
    threading.Event().wait()
    return 0


def _parameters(xllamacpp: ModuleType, options: dict[str, Any]) -> Any:
    """What to serve, and how, as llama.cpp takes it.

    Raises:
        OverflowError: a number is too large for its counters.
    """
    params = xllamacpp.CommonParams()
    params.model.path = options["file"]
    params.port = options["port"]
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [os.environ[KEY]]
    params.n_ctx = options["tokens"]
    params.n_parallel = options["replies"]
    params.n_batch = BATCH
    params.kv_unified = True  # one pool for all, of which a reply may have the whole context
    params.cache_ram_mib = options["cache_mib"]
    params.n_gpu_layers = options["gpu_layers"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options["threads"]
    if options["full_precision"]:
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.fit_params = params.ui = False
    params.endpoint_slots = False
    params.sse_ping_interval = -1
    return params


if __name__ == "__main__":
    sys.exit(main())
