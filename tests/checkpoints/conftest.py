from collections.abc import Iterator

import pytest

from tests.checkpoints.hub_server import HubServer, running_hub
from tests.tiny import TINY_PATH


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """A hub with the tiny Baichuan checkpoint, some of it code that must never come here."""
    names = ("config.json", "generation_config.json", "tokenizer.model", "tokenizer_config.json", "pytorch_model.bin")
    files = {name: (TINY_PATH / name).read_bytes() for name in names}
    files |= dict.fromkeys(("Community License for Baichuan2 Model.pdf", "Baichuan2 模型社区许可协议.pdf"), b"%PDF")
    with running_hub(files | {"modeling_baichuan.py": b"raise SystemExit"}) as hub:
        yield hub
