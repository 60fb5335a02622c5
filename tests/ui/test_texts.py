"""Every text of the page is in every language, and nowhere else."""

import ast
import re
import string
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from components import ui
from components.ui.chat.sidebar import SLIDERS
from components.ui.texts import EN, TEXTS, ZH, Texts

SOURCES = {
    str(path.relative_to(root)): path
    for root in [Path(ui.__file__).parent]
    for path in root.rglob("*.py")
    if path.parent.name != "texts"
}

TEXT_METHODS = frozenset({
    "badge", "button", "caption", "chat_input", "checkbox", "code", "download_button", "error", "expander", "form",
    "header", "html", "info", "link_button", "markdown", "metric", "multiselect", "number_input", "page_link",
    "popover", "radio", "segmented_control", "select_slider", "selectbox", "slider", "spinner", "status", "subheader",
    "success", "text", "text_area", "text_input", "title", "toast", "toggle", "warning", "write",
})  # fmt: skip
"""Calls whose first argument a reader sees. Their names are Streamlit's, whatever container they are called on."""

TEXT_KEYWORDS = frozenset({"label", "help", "placeholder", "body", "text", "value", "title", "delta"})

MARKUP = re.compile(r":material/\w+:|:[a-z]+(?=\[)|</?[a-z]+[^>]*>|https?://\S+")
"""Streamlit's and HTML's own words, which nobody reads."""

LETTER = re.compile(r"[^\W\d_]")


def leaves(value: object, path: str = "") -> dict[str, str]:
    """Every single text, by its path."""
    match value:
        case str():
            return {path: value}
        case dict():
            items = value.items()
        case tuple() | list():
            items = dict(enumerate(value)).items()
        case _:
            raise TypeError(f"{path} is no text: {value!r}")
    return {
        name: text for key, item in items for name, text in leaves(item, f"{path}.{key}" if path else str(key)).items()
    }


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_no_text_lacks_a_language() -> None:
    assert leaves(asdict(EN)).keys() == leaves(asdict(ZH)).keys()
    assert all(text.strip() for texts in TEXTS.values() for text in leaves(asdict(texts)).values())


@pytest.mark.parametrize("path", leaves(asdict(EN)))
def test_both_languages_are_filled_in_with_the_same(path: str) -> None:
    assert names(leaves(asdict(EN))[path]) == names(leaves(asdict(ZH))[path])


@pytest.mark.parametrize("texts", TEXTS.values(), ids=list(TEXTS))
def test_every_sampling_parameter_of_the_sidebar_has_a_name_and_help(texts: Texts) -> None:
    assert texts.labels.keys() == texts.help.keys() == {*SLIDERS, "seed"}
    assert all(texts.help.values())


def written_out(source: str) -> list[str]:
    """The words that calls of Streamlit show and that stand in the code itself, each with its line."""
    return [
        f"{call.lineno}: {literal}"
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        for argument in shown_arguments(call)
        for literal in literals(argument)
        if LETTER.search(MARKUP.sub("", literal))
    ]


def shown_arguments(call: ast.Call) -> Iterator[ast.expr]:
    if isinstance(call.func, ast.Attribute) and call.func.attr in TEXT_METHODS:
        yield from call.args[:1]
        yield from (keyword.value for keyword in call.keywords if keyword.arg in TEXT_KEYWORDS)


def literals(argument: ast.expr) -> Iterator[str]:
    """The strings in an argument; what the values in an f-string are is not asked."""
    match argument:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
        case ast.IfExp(body=body, orelse=orelse):
            yield from literals(body)
            yield from literals(orelse)
        case ast.BinOp(left=left, right=right):
            yield from literals(left)
            yield from literals(right)


@pytest.mark.parametrize("name", SOURCES)
def test_no_text_stands_in_the_code(name: str) -> None:
    assert written_out(SOURCES[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        'st.button("Send", key="send")',
        'container.caption(f"{texts.done} after {seconds} s")',
        'st.slider(texts.top_p, help="How likely")',
        'st.markdown("**" + "重试" + "**")',
        'st.title(texts.a if short else "Baichuan")',
    ],
)
def test_a_text_in_the_code_is_found(source: str) -> None:
    assert written_out(source)
