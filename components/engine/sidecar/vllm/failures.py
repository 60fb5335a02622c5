"""What vLLM's last lines mean, and what to do. They are hundreds, of which the first error is the cause."""

import re
from collections.abc import Sequence

from components.engine.sidecar.process import last_words

_PREFIX = re.compile(r"^\(\w+ pid=\d+\) |^(ERROR|CRITICAL) [\d-]+ [\d:]+ \[[^\]]*\] ?")
_ERROR = re.compile(r"^(vllm: error:|(\w+\.)*[A-Z]\w*(Error|Exception)\b)")
_AFTERMATH = re.compile(
    r"Engine core initialization failed|EngineDeadError|Failed core proc|WorkerProc initialization failed"
)
_NOISE = re.compile(r" ?\[type=\w+, input_value=.*")
LONGEST = 600

ADVICE = (
    (
        re.compile(r"[Bb]float16 is only supported"),
        "This card does not compute in bfloat16. Set BAICHUAN_DTYPE=float16.",
    ),
    (
        re.compile(
            r"out of memory|less than desired GPU memory|No available memory|KV cache is needed|larger than the"
        ),
        "The card's memory does not suffice: end what else uses it (nvidia-smi shows it), or have vLLM take less, for "
        "example BAICHUAN_VLLM_OPTIONS='--max-model-len 2048 --enforce-eager'.",
    ),
    (
        re.compile(r"unrecognized arguments|invalid choice|argument --"),
        "Correct BAICHUAN_VLLM_OPTIONS; if they are right, this vLLM is too old: leave BAICHUAN_VLLM out, and take its "
        "folder out of the path, so that one is installed.",
    ),
    (
        re.compile(r"driver|libcuda|CUDA unknown error|no kernel image|No CUDA GPUs|Failed to infer device type"),
        "This vLLM does not fit the card or its driver. Update the driver, or install a vLLM that fits and name its "
        "program in BAICHUAN_VLLM.",
    ),
    (
        re.compile(r"not supported for now|architectures|trust_remote_code|custom code"),
        "vLLM does not run models of this kind. Leave BAICHUAN_ENGINE out: then this application runs it by itself.",
    ),
)

OTHERWISE = "Its log, which is in ours, says more. Without BAICHUAN_ENGINE this application runs the model by itself."


def advise(lines: Sequence[str]) -> str:
    """What to do about a failure, given the last lines of vLLM's log."""
    cause = quote(lines)
    return next((advice for pattern, advice in ADVICE if pattern.search(cause)), OTHERWISE)


def quote(lines: Sequence[str]) -> str:
    """The first error of these lines that is not only the consequence of another; if there is none, the last lines."""
    lines = [_PREFIX.sub("", _PREFIX.sub("", line)).rstrip() for line in lines]
    for place, line in enumerate(lines):
        if _ERROR.match(line) and not _AFTERMATH.search(line):
            more = lines[place + 1 : place + 2] if "validation error" in line else []
            text = _NOISE.sub("", " ".join(map(str.strip, [line, *more])))
            return f"It says: {text[:LONGEST].rstrip('.')}."
    return last_words(lines)
