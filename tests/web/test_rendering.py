"""Replies as plain HTML: formulas that a browser draws by itself, coloured code, and nothing that acts."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.web.rendering import LONGEST_COLOURED, code_style, to_html


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("$x<y$", "<math><mi>x</mi><mo>&lt;</mo><mi>y</mi></math>"),
        (r"\(x\)", "<math><mi>x</mi></math>"),
        ("$$\nx\n$$", '<math display="block"><mi>x</mi></math>'),
        (r"one $$x$$ line", '<math display="block"><mi>x</mi></math>'),
        (r"$\text{价格}$", "<mtext>价格</mtext>"),
        ("\\begin{equation}\nx\n\\end{equation}", "<mi>x</mi>"),
        ("\\begin{eqnarray}\na &= b\n\\end{eqnarray}", "<mi>a</mi>"),
    ],
)
def test_formulas_are_drawn_by_the_browser(text: str, drawn: str) -> None:
    html = to_html(text)
    assert drawn in html
    assert "(1)" not in html  # numbers would begin anew with every formula


@pytest.mark.parametrize(
    "tex",
    [
        r"\frac{",
        r"\nosuchcommand{x}",
        r"a & b",
        r"\href{javascript:alert(1)}{x}",
        r"\def\x{\x\x}\x",
        r"\class{evil}{x}",
        r"\includegraphics{x}",
        "{" * 200 + "x" + "}" * 200,
    ],
)
def test_what_is_no_formula_stands_there_as_it_was_written(tex: str) -> None:
    html = to_html(f"see ${tex}$ there")
    assert "<math" not in html
    assert f"<code>{tex.replace('&', '&amp;')}</code>" in html


@pytest.mark.parametrize(
    ("fence", "coloured"),
    [("python", True), ("Python title=x", True), ("c++", True), ("", False), ("nosuchlanguage", False), ("<b>", False)],
)
def test_code_is_coloured_where_its_language_is_known(fence: str, coloured: bool) -> None:
    html = to_html(f"```{fence}\nreturn 1 < 2\n```\n")
    assert ("<span class=" in html) is coloured
    assert "&lt;" in html
    assert "style=" not in html


def test_code_that_is_too_long_is_not_coloured() -> None:
    line = "x = 1\n"
    assert "<span" not in to_html("```python\n" + line * (LONGEST_COLOURED // len(line) + 1) + "```")


def test_colours_are_chosen_for_light_and_for_dark() -> None:
    style = code_style()
    assert "prefers-color-scheme: light" in style
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style


def test_a_table_and_emphasis_are_shown_as_on_the_chat_page() -> None:
    html = to_html("**50%**左右\n\n| a | b |\n|--:|:-:|\n| 1 | 2 |\n")
    assert "<strong>50%</strong>左右" in html
    assert '<td class="right">1</td>' in html


def test_a_reply_nested_without_end_is_shown_all_the_same() -> None:
    assert "end" in to_html("> " * 3000 + "deep\n\nend")
    assert to_html("[" * 5000 + "*" * 5000)


def test_many_are_read_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: to_html(f"$x_{{{number}}}$"), range(400)))
    assert all(f"<mn>{number}</mn>" in html for number, html in enumerate(found) if number < 10)
    assert all("<math>" in html for html in found)


_MARKS = [
    "<script>",
    "</",
    '"',
    "'",
    "`",
    "```\n",
    "$",
    "$$\n",
    "\\",
    "\\(",
    "{",
    "}",
    "\\frac",
    "\\text{",
    "&",
    "<",
    ">",
    "|",
]
_WORDS = ["javascript:", "[x](", ")", "![", "]", "\n", "\n\n", "> ", "onx=1", "style=", "\\color{", "\\hspace{", "x"]
PIECES = st.sampled_from(_MARKS + _WORDS)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_nothing_that_somebody_writes_acts(text: str) -> None:
    html = to_html(text).lower()
    for forbidden in ("<script", "<img", 'href="javascript', "<iframe", "<style", "<form", "<object"):
        assert forbidden not in html
    assert " onx=" not in "".join(part for part in html.split("<")[1:] if ">" in part and " onx=" in part.split(">")[0])
