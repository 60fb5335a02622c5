#!/usr/bin/env python3
"""Behaves as vLLM does at its start, in failure and at its end: ``stand_in.py serve MODEL --port PORT …``.

It takes the options that vLLM takes and its key from the environment, logs, starts a process for its engine, loads for
a while, and serves OpenAI's API. What it writes is told by ``OpenAIStub``. STAND_IN has what is to be different, in
JSON:

- fails: what it says and ends with instead of serving;
- stalls: the piece of each reply before which it stops writing;
- old: whether it is a vLLM that tells no token ids;
- loads: the file that it waits for before it is ready;
- asked: the file to which it writes the bodies of the requests for replies, a line each;
- tells: the file to which it writes the options that it was given, and CUDA's variables.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from tests.engine.remote.openai_stub import running_stub

VERSION = "0.0.stand-in"
TINY_IDS = {"百川": [3944, 479, 433, 407], "归": [4017], "海": [3904], "。": [3237], "</s>": [2]}
"""The stub's pieces, and its end, in the vocabulary of the tiny Baichuan checkpoint."""


def main() -> None:
    told = json.loads(os.environ.get("STAND_IN", "{}"))
    if sys.argv[1:] == ["--version"]:
        print(VERSION)
        return
    options = parse()
    key = os.environ["VLLM_API_KEY"]
    if "tells" in told:
        cuda = {name: value for name, value in os.environ.items() if name.startswith("CUDA_")}
        Path(told["tells"]).write_text(json.dumps(vars(options) | cuda))
    core = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(f"INFO api_server.py:1: pids {os.getpid()} {core.pid}", flush=True)
    if "fails" in told:
        print(told["fails"], file=sys.stderr)
        core.kill()
        core.wait()
        sys.exit("RuntimeError: Engine core initialization failed. See root cause above.")
    while "loads" in told and not Path(told["loads"]).exists():
        time.sleep(0.01)
    with running_stub(options.port) as stub:
        stub.key = key
        stub.models = [{"id": options.served_model_name, "owned_by": "vllm", "max_model_len": 256}]
        stub.pages["/version"] = {"version": VERSION}
        stub.ids = None if told.get("old") else TINY_IDS
        stub.stall_before = told.get("stalls")
        while True:
            time.sleep(0.02)
            if "asked" in told:
                half = Path(told["asked"]).with_suffix(".half")
                half.write_text("\n".join(map(json.dumps, stub.replies)))
                half.replace(told["asked"])  # who reads meanwhile sees all of it


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("model")
    for name in ("host", "served-model-name", "dtype", "uvicorn-log-level", "max-model-len"):
        parser.add_argument(f"--{name}")
    for name in ("port", "max-num-seqs", "kv-cache-memory-bytes"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--max-logprobs", type=int)
    parser.add_argument("--enable-prompt-tokens-details", action="store_true")
    parser.add_argument("--gpu-memory-utilization", type=float)
    return parser.parse_args()


if __name__ == "__main__":
    main()
