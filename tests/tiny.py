"""The tiny Baichuan 2 checkpoint with random weights, and what the reference implementation computes for it."""

import json
from pathlib import Path
from typing import Any

TINY_PATH = Path(__file__).parent / "fixtures" / "baichuan2-7b-tiny"


def read_expected() -> dict[str, Any]:
    """See ``fixtures/README.md`` for what is in it."""
    expected: dict[str, Any] = json.loads((TINY_PATH / "expected.json").read_text(encoding="utf-8"))
    return expected


EXPECTED = read_expected()
CHATS: list[dict[str, Any]] = EXPECTED["chats"]
