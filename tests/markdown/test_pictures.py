"""Pictures from elsewhere are links, unless the owner allows their host."""

from collections.abc import Iterator

import pytest

from components.access.headers import build_headers
from components.markdown.document import complete_blocks
from components.settings import get_settings


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("BAICHUAN_IMAGE_HOSTS", "a.org, *.b.org")
    get_settings.cache_clear()
    complete_blocks.cache_clear()
    yield
    get_settings.cache_clear()
    complete_blocks.cache_clear()


@pytest.mark.parametrize("address", ["https://a.org/x.png", "https://A.org/x.png", "https://c.b.org/x.png"])
def test_a_picture_from_a_host_that_is_allowed_is_shown(allow: None, address: str) -> None:
    assert complete_blocks(f"![a [b]]({address})") == (rf"![a \[b\]](<{address}>)",)


@pytest.mark.parametrize(
    "address",
    [
        "https://b.org/x.png",
        "https://evil-b.org/x.png",
        "http://a.org/x.png",
        "//a.org/x.png",
        "https://a.org.evil.net/x.png",
        "https://a.org@evil.net/x.png",
        "https://a.org:8443/x.png",
        "/logout",
    ],
)
def test_any_other_is_a_link(allow: None, address: str) -> None:
    assert complete_blocks(f"![a]({address})")[0].startswith("[a")


def test_a_picture_without_words_or_a_name_is_its_host() -> None:
    assert complete_blocks("![](https://c.org/)") == ("[c.org](<https://c.org/>)",)


def test_browsers_are_told_the_same(allow: None) -> None:
    assert "img-src 'self' data: blob: https://a.org https://*.b.org;" in build_headers()["Content-Security-Policy"]


def test_without_the_setting_nothing_comes_from_elsewhere() -> None:
    assert "img-src 'self' data: blob:;" in build_headers()["Content-Security-Policy"]
    assert complete_blocks("![a](https://c.org/x.png)") == ("[a (c.org)](<https://c.org/x.png>)",)


def test_a_picture_that_carries_its_data_is_shown() -> None:
    assert complete_blocks("![dot](data:image/png;base64,iVBORw0KGgo=)") == (
        "![dot](<data:image/png;base64,iVBORw0KGgo=>)",
    )
