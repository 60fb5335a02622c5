"""Documents lead to each other, are there in both languages, and say the same in both."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from components.settings import ENV_PREFIX, Settings
from tests.server import ROOT

DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests" / "fixtures").glob("*.md"))
)

ENGLISH_ONLY = ("docs/bench/", "docs/engine.md", "docs/layout.md", "tests/")
"""What is for who develops this."""

PAIRS = [
    (document, f"{document.removesuffix('.md')}.zh.md")
    for document in DOCUMENTS
    if not document.endswith(".zh.md") and not document.startswith(ENGLISH_ONLY)
]


FILES = ("nginx", "ini")
"""Kinds of files that stand in the English document alone; the other one leads there."""


def tokens_of(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        yield token
        yield from token.children or ()


def links_of(text: str) -> list[str]:
    """Where links lead and pictures lie, but for other servers."""
    found = [str(token.attrGet("href") or token.attrGet("src") or "") for token in tokens_of(text)]
    return [unquote(link) for link in found if link and not re.match(r"[a-z]+:", link)]


def anchors_of(text: str) -> set[str]:
    """What GitHub calls the headings: lower case, marks left out, a hyphen for each space, a number when repeated."""
    anchors: list[str] = []
    tokens = list(tokens_of(text))
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            words = "".join(one.content for one in content.children or () if one.type in ("text", "code_inline"))
            anchor = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            earlier = anchors.count(anchor)
            anchors.append(anchor)
            anchors += [f"{anchor}-{earlier}"] if earlier else []
    return set(anchors)


def broken_links(path: Path, text: str) -> list[str]:
    """The links of a document at ``path`` that lead nowhere."""
    broken = []
    for link in links_of(text):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or not target.is_relative_to(ROOT):
            broken.append(link)
        elif anchor:
            there = text if target == path else target.read_text(encoding="utf-8")
            broken += [link] if anchor not in anchors_of(there) else []
    return broken


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    assert broken_links(ROOT / document, read(document)) == []


@pytest.mark.parametrize(
    "text",
    [
        "[a](docs/none.md)",
        "![a](docs/images/none.webp)",
        "[a](docs/deploy.md#none)",
        "[a](#none)",
        "[a][b]\n\n[b]: none",
    ],
)
def test_a_link_that_leads_nowhere_is_found(text: str) -> None:
    assert broken_links(ROOT / "README.md", f"# Title\n\n{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "[a](docs/deploy.md#who-may-come-in)",
        "[a](docs/deploy.zh.md#谁能进来)",
        "[a](#nginx-tls-and-more)\n\n## nginx, TLS, and `more`!",
        "[a](#twice-1)\n\n## Twice\n\n## Twice",
        "[a](https://example.org/none.md)",
        "```text\n[a](none.md)\n```",
    ],
)
def test_a_link_that_leads_somewhere_is_not_complained_about(text: str) -> None:
    assert broken_links(ROOT / "README.md", text) == []


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_every_document_can_be_reached_from_the_readme(readme: str) -> None:
    reached = {ROOT / readme}
    for path in (waiting := [ROOT / readme]):
        for link in links_of(path.read_text(encoding="utf-8")):
            target = (path.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target not in reached:
                reached.add(target)
                waiting.append(target)
    assert [document for document in DOCUMENTS if ROOT / document not in reached and "tests/" not in document] == []


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_a_document_leads_to_the_other_language(english: str, chinese: str) -> None:
    for document, other in ((english, chinese), (chinese, english)):
        assert Path(other).name in links_of("\n".join(read(document).splitlines()[:4])), document


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_have_the_same_parts(english: str, chinese: str) -> None:
    def parts(document: str) -> list[str]:
        kinds = ("heading_open", "tr_open", "fence", "image")
        tokens = [token for token in tokens_of(read(document)) if token.type in kinds]
        return [f"{token.type} {token.tag}" for token in tokens if token.info not in FILES]

    assert parts(english) == parts(chinese)


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_give_the_same_commands(english: str, chinese: str) -> None:
    def commands(document: str) -> list[str]:
        blocks = [token.content for token in tokens_of(read(document)) if token.type == "fence"]
        shell = [
            block
            for block in blocks
            if re.search(r"^(?:\.venv|make|docker|ssh|cp|createdb|systemctl|BAICH)", block, re.M)
        ]
        return [re.sub(r"\s*#.*", "", block) for block in shell]

    assert commands(english) == commands(chinese)


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_lead_to_the_same_documents(english: str, chinese: str) -> None:
    def linked(document: str) -> set[str]:
        files = {link.partition("#")[0].replace(".zh.", ".").replace(".en.", ".") for link in links_of(read(document))}
        return files - {Path(english).name}

    assert linked(english) == linked(chinese)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_setting_that_is_named_exists(document: str) -> None:
    named = set(re.findall(rf"{ENV_PREFIX}(\w+)", read(document)))
    assert named <= {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_of_ours_that_is_named_exists(document: str) -> None:
    named = re.findall(r"`((?:components|bench|tests|scripts|docs|\.streamlit)/[\w./-]+|[\w-]+\.py)`", read(document))
    made = {".streamlit/secrets.toml"}
    assert [name for name in named if not (ROOT / name).exists() and name not in made] == []
