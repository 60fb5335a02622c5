"""What Streamlit's own renderer makes of a reply, in a real browser."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chat_page import ChatPage
from tests.browser.conftest import NewBrowser, PageFactory
from tests.browser.markdown_app import texts
from tests.markdown.replies import REPLIES
from tests.markdown.streamlit_renderer import Block, reference
from tests.server import running_server

READ_REPLY = """reply => {
  const STYLES = {STRONG: 'strong', EM: 'em', DEL: 's', CODE: 'code'};
  const BLOCKS = 'p, h1, h2, h3, h4, h5, h6, td, th, pre, li, .katex-display';
  const blocks = [];
  let last = null;
  const add = (node, text, styles) => {
    const block = node.parentElement.closest(BLOCKS);
    if (block !== last) { blocks.push([]); last = block; }
    const runs = blocks.at(-1), before = runs.at(-1);
    if (before && before[1].join() === styles.join()) before[0] += text;
    else runs.push([text, styles]);
  };
  const walk = (node, styles) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const raw = node.parentElement.closest('pre, td, th');
      const data = node.data.replaceAll('\\u2060', '');  // keeps Streamlit from replacing :material/ in code
      const text = raw ? data : data.replaceAll('\\n', '');
      if (text && node.parentElement.closest(BLOCKS) && (raw || text.trim() || !/\\n/.test(node.data))) {
        add(node, text, [...new Set(styles)].sort());
      }
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE || node.dataset.testid === 'stHeaderActionElements') return;
    if (node.tagName === 'BR') return add(node, '\\n', styles);
    if (node.tagName === 'IMG') return add(node, node.alt, [...styles, `picture from ${node.getAttribute('src')}`]);
    if (node.tagName === 'BUTTON' || node.tagName === 'svg') return;
    if (node.classList.contains('katex')) {
      const place = node.querySelector('annotation');
      return add(node.firstChild, place ? place.textContent : node.textContent, [...styles, 'formula'].sort());
    }
    const style = node.tagName === 'A' ? `link to ${node.getAttribute('href')}` : STYLES[node.tagName];
    for (const child of node.childNodes) walk(child, style ? [...styles, style] : styles);
  };
  for (const part of reply.querySelectorAll('[data-testid=stMarkdownContainer]')) { last = null; walk(part, []); }
  return blocks;
}"""


def cases(blocks: list[Any]) -> dict[int, list[Any]]:
    """What was read, by the number of the case that stands above it."""
    found: dict[int, list[Any]] = {}
    number = -1
    for block in blocks:
        text = "".join(text for text, _ in block)
        if marker := re.fullmatch(r"Case (\d+):", text):
            number = int(marker[1])
            found[number] = []
        elif text == "The end.":
            break
        elif number >= 0:
            found[number].append([[_spaced(text, styles), sorted(styles)] for text, styles in block])
    return found


def flat(blocks: list[Block]) -> list[Any]:
    """The blocks that are to be seen, in the form in which the page is read."""
    found: list[Any] = []
    for kind, content in blocks:
        if kind in ("code", "formula"):
            if content:
                found.append([[_spaced(str(content), [str(kind)]), [kind]]])
        elif isinstance(content, list) and content and isinstance(content[0][1], frozenset):
            runs = [
                (text, sorted("formula" if style == "math_inline" else style for style in styles))
                for text, styles in content
            ]
            found.append([[_spaced(text, styles), styles] for text, styles in runs])
        elif isinstance(content, list):
            found += flat(content)
    return found


def _spaced(text: str, styles: list[str]) -> str:
    return " ".join(text.split()) if "formula" in styles else text


@pytest.fixture
def seen(open_page: PageFactory) -> ChatPage:
    chat = open_page("/?lang=en")
    chat.ask("everything")
    return chat


def read(chat: ChatPage, wanted: dict[int, list[Any]]) -> dict[int, list[Any]]:
    """What is shown, once that is what is wanted or will not be: what draws formulas is loaded when the first comes."""

    def shown() -> dict[int, list[Any]]:
        return cases(chat.reply.evaluate(READ_REPLY))

    with suppress(AssertionError):  # whoever asks compares, and sees what differs
        chat.wait_until(lambda: shown() == wanted, "the page shows something else")
    return shown()


def test_the_page_shows_what_replies_say(seen: ChatPage) -> None:
    wanted = {number: flat(reply.shown) for number, reply in enumerate(REPLIES)}
    grown = read(seen, wanted)
    assert grown.keys() == wanted.keys()
    assert {REPLIES[n].says: grown[n] for n in wanted if grown[n] != wanted[n]} == {}
    seen.page.get_by_test_id("stSidebar").get_by_text("中文").click()
    seen.page.get_by_role("button", name="重新生成").wait_for()
    drawn = read(seen, wanted)
    assert {REPLIES[n].says: drawn[n] for n in wanted if drawn[n] != wanted[n]} == {}


def test_the_page_shows_any_text_as_commonmark_has_it(new_browser: NewBrowser, tmp_path: Path) -> None:
    with running_server(tmp_path / "log", {}, "tests/browser/markdown_app.py", "/_stcore/health") as url:
        page = new_browser().new_page()
        page.goto(url)
        page.get_by_text("The end.").wait_for()
        shown = {
            text: page.locator(f".st-key-text{number}").evaluate(READ_REPLY) for number, text in enumerate(texts())
        }
        page.close()
    wanted = {text: [[list(run) for run in block] for block in flat(reference(text)) if block] for text in shown}
    assert {text: shown[text] for text in shown if shown[text] != wanted[text]} == {}
