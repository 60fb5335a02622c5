"""guidellm, the vLLM project's load generator, for a moment."""

import json
from pathlib import Path

from tests.clients.conftest import run

REQUESTS, TOKENS = 4, 8


def test_a_benchmark_counts_its_requests_and_every_token(server: str, demo_model: Path, tmp_path: Path) -> None:
    run(
        "guidellm",
        "run",
        f"--backend=kind=openai_http,target={server}",
        "--profile=kind=concurrent,streams=2",
        f"--constraint=kind=max_requests,count={REQUESTS}",
        f"--data=kind=synthetic_text,prompt_tokens=32,output_tokens={TOKENS}",
        f"--tokenizer=kind=huggingface_auto,model={demo_model}",
        "--disable-console",
        GUIDELLM__DEFAULT_RESULTS_DIR=str(tmp_path),
        # It looks for news every so many seconds, and leaves when there are none and all is done. That is said a moment
        # before the last request's result arrives: looking ten times a second, as it does by default, it may miss it.
        GUIDELLM__MP_POLL_INTERVAL="5",
    )

    [benchmark] = json.loads((tmp_path / "benchmarks.json").read_text())["benchmarks"]
    requests = benchmark["requests"]
    assert len(requests["successful"]) == REQUESTS
    assert not requests["errored"]
    # It asks for exactly so many, with ignore_eos, and counts what the stream's usage tells.
    assert {request["output_tokens"] for request in requests["successful"]} == {TOKENS}
