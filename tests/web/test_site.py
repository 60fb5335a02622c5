"""What is shared, as a folder that needs neither the server nor a network."""

import io
import re
import zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest

import data
from components.chats.replies import Replies
from components.chats.sharing import share
from components.settings import get_settings
from components.store.database import Database, get_database
from components.store.shares import Share, SharedMessage
from components.web.site import INDEX, FolderError, build_site, write_site, zip_site
from components.web.texts import TEXTS
from tests.web.conftest import kept_chat

RICH = "**Euler**: $e^{i\\pi}+1=0$\n\n```python\nprint(1)\n```\n"


def shared(title: str, text: str = RICH) -> Share:
    content = [SharedMessage("user", "Why?"), SharedMessage("assistant", text, "M", "stop")]
    return Share(id=title[:8], conversation="c", title=title, content=content)


def links(html: str) -> list[str]:
    return [unquote(link) for link in re.findall(r'(?:href|src)="([^"]*)"', html) if not link.startswith("data:")]


def test_every_share_is_a_page_that_the_index_leads_to() -> None:
    titles = ["为什么天空是蓝色的？", "why", "WHY", "", "index", "a/b:c", "con"]
    files = dict(build_site([shared(title) for title in titles], TEXTS["en"]))

    assert len({name.casefold() for name in files}) == len(titles) + 1
    assert links(files[INDEX]) == [name for name in files if name != INDEX]
    for name, html in files.items():
        assert "<script" not in html
        assert "url(" not in html
        if name != INDEX:
            assert links(html) == [INDEX]
            assert "<math>" in html
            assert '<span class="nb">print</span>' in html


def test_footnotes_of_one_reply_are_not_those_of_another() -> None:
    noted = "x[^1]\n\n[^1]: One."
    content = [SharedMessage("assistant", noted, "M", "stop")] * 2
    html = dict(build_site([Share(id="x", conversation="c", title="x", content=content)], TEXTS["en"]))["x.html"]
    names = re.findall(r' id="([^"]*)"', html)
    assert len(set(names)) == len(names) == 4
    assert sorted(re.findall(r'href="#([^"]*)"', html)) == sorted(names)


@pytest.mark.parametrize(("language", "word"), [("en", "Question"), ("zh", "问题")])
def test_it_speaks_the_language_that_was_chosen(language: str, word: str) -> None:
    texts = TEXTS["zh" if language == "zh" else "en"]
    assert f"<h2>{word}</h2>" in dict(build_site([shared("x")], texts))["x.html"]


def test_it_fits_into_one_file() -> None:
    with zipfile.ZipFile(io.BytesIO(zip_site([shared("为什么")], TEXTS["zh"]))) as packed:
        assert set(packed.namelist()) == {"为什么.html", INDEX}
        assert packed.testzip() is None


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FolderError, match="not empty"):
        write_site([shared("x")], TEXTS["en"], tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(FolderError, match="cannot be written"):
        write_site([], TEXTS["en"], tmp_path / "mine.txt" / "site")


def test_the_command_writes_what_all_share_at_present(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = Replies(Database(f"sqlite:///{tmp_path / 'chats.db'}"))
    for reader in ("browser:one", "browser:two"):
        share(kept_chat(replies, f"of {reader}", reader=reader), "never")
    expired = kept_chat(replies, "expired")
    monkeypatch.setattr("components.chats.sharing.EXPIRY_SECONDS", {"day": -1.0})
    share(expired, "day")
    kept_chat(replies, "never shared")
    replies.keeper.close()
    replies.database.close()
    monkeypatch.setenv("BAICHUAN_DATABASE_URL", f"sqlite:///{tmp_path / 'chats.db'}")
    get_settings.cache_clear()
    get_database.cache_clear()
    try:
        assert data.main(["site", str(tmp_path / "site")]) == 0
        assert "2 shared conversations" in capsys.readouterr().out
        assert {file.name for file in (tmp_path / "site").iterdir()} == {
            INDEX,
            "of browser one.html",
            "of browser two.html",
        }
        assert data.main(["site", str(tmp_path / "site")]) == 1
        assert "not empty" in capsys.readouterr().err
    finally:
        get_database().close()
        get_settings.cache_clear()
        get_database.cache_clear()
