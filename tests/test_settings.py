"""The options, as people write them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from components.settings import Settings


@pytest.mark.parametrize("name", ["model", "models_dir", "data_dir", "vllm"])
def test_a_path_may_begin_in_the_home_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"BAICHUAN_{name.upper()}=~/here\n")

    assert getattr(Settings(), name) == tmp_path / "here"


def test_a_home_folder_that_nobody_has_is_refused() -> None:
    with pytest.raises(ValidationError, match="nobody has this home folder"):
        Settings(data_dir=Path("~nobody-at-all-here/data"))
