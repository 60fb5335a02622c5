"""A short name for weights that two machines agree on: SHA-256 over the weight files."""

import contextlib
import hashlib
import json
from pathlib import Path

from components.checkpoints.gguf_checks import parts_of

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def fingerprint(checkpoint: Path, data_dir: Path) -> str:
    """The SHA-256 over the names and contents of a checkpoint's weight files: of a folder, or of a GGUF file's parts.

    Reading them takes a minute for 15 GB, so the result is kept in the data folder until a file changes.
    """
    found = (path for pattern in WEIGHTS for path in checkpoint.glob(pattern))
    files = parts_of(checkpoint) if checkpoint.is_file() else sorted(found)
    stamp = [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    kept = data_dir / "fingerprints" / f"{hashlib.sha256(json.dumps(stamp).encode()).hexdigest()[:16]}.txt"
    with contextlib.suppress(OSError):
        known = kept.read_text(encoding="utf-8")
        if len(known) == hashlib.sha256().digest_size * 2:  # else a full disk took only some of it
            return known
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as content:
            digest.update(path.name.encode() + hashlib.file_digest(content, "sha256").digest())
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(digest.hexdigest(), encoding="utf-8")
    return digest.hexdigest()
