"""llama.cpp itself, serving a GGUF file in a process of its own."""

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SERVE = """
import sys
import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = int(sys.argv[2])
params.port = 0
params.n_parallel = 1
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1  # they spin for each other where others work, too
params.warmup = params.fit_params = False
params.endpoint_props = True
# With the usual half-precision cache, near ties fall otherwise than in the reference.
params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
server = xllamacpp.Server(params)
print("listening on", server.listening_address, flush=True)
sys.stdin.read()
"""


class LlamaCpp:
    """Speaks to llama.cpp's native API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What it answers to a POST, or without a body to a GET."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def ids(self, text: str, with_control_tokens: bool = False) -> list[int]:
        """A text's token ids."""
        body = {"content": text, "add_special": with_control_tokens, "parse_special": with_control_tokens}
        ids: list[int] = self.ask("/tokenize", body)["tokens"]
        return ids

    def greedy(self, prompt: Sequence[int], length: int) -> list[int]:
        """The ids of the likeliest tokens after a prompt, the end token not among them."""
        body = {"prompt": list(prompt), "n_predict": length, "temperature": 0, "repeat_penalty": 1}
        ids: list[int] = self.ask("/completion", body | {"return_tokens": True, "cache_prompt": False})["tokens"]
        return ids


@contextlib.contextmanager
def llama_cpp(file: Path, context: int = 256) -> Iterator[LlamaCpp]:
    """Serve a file."""
    with (file.parent / f"{file.name}.log").open("w+") as log:
        command = [sys.executable, "-c", SERVE, str(file), str(context)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("listening on "):
                    yield LlamaCpp(line.split()[-1])
                    return
            log.seek(0)
            raise AssertionError(f"llama.cpp does not load {file}:\n{log.read()}")
        finally:
            process.kill()
            process.communicate()
