"""The server that is measured runs the model as the settings say, and needs no code."""

from pathlib import Path

from bench.server import environment
from components.checkpoints.locate import Checkpoint
from components.settings import Settings
from tests.tiny import TINY_PATH


def test_only_what_decides_how_the_model_runs_is_handed_on(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "dtype": "float32", "max_batch": 3, "access": "locked", "access_code": "a-secret-code"}
    )
    env = environment(settings, Checkpoint(TINY_PATH, "tiny", is_demo=False))

    assert env == {
        "BAICHUAN_MODEL": str(TINY_PATH),
        "BAICHUAN_DATA_DIR": str(tmp_path),
        "BAICHUAN_DTYPE": "float32",
        "BAICHUAN_QUANTIZE": "auto",
        "BAICHUAN_ENGINE": "local",
        "BAICHUAN_MAX_BATCH": "3",
    }
