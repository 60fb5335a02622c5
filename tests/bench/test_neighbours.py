"""What readers cost each other is measured with the engine as it is."""

from pathlib import Path

import pytest

from bench import neighbours
from bench.grid import GRID
from bench.kept_scores import step_with_scores
from bench.loading import load_engine, load_tokenizer
from components.checkpoints.locate import Checkpoint
from components.settings import Settings
from tests.tiny import TINY_PATH


def test_each_pair_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "LONG_PROMPT", 100)
    monkeypatch.setattr(neighbours, "SHARED_PROMPT", 100)
    checkpoint = Checkpoint(TINY_PATH, "tiny", is_demo=False)
    engine = load_engine(Settings(data_dir=tmp_path, device="cpu"), checkpoint)
    try:
        pairs = list(neighbours.pairs_of(engine, load_tokenizer(checkpoint), [1, 2], 8, 1))
    finally:
        engine.close()

    assert [pair.what for pair in pairs] == [
        *(what(readers) for readers in (1, 2) for what in (neighbours.seeds, step_with_scores)),
        *(neighbours.FAIRNESS, neighbours.SHARED, neighbours.HELD, GRID),
    ]
    assert all(pair.before > 0 and pair.after > 0 for pair in pairs)
