"""Replies as plain HTML: what the chat page shows, formulas that a browser draws by itself, and nothing that acts."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.markdown.document import complete_blocks
from components.web.highlighting import LONGEST_COLOURED, code_style
from components.web.rendering import to_html
from tests.markdown.mixtures import OWN_PIECES, PIECES
from tests.markdown.replies import REPLIES, Seen
from tests.markdown.streamlit_renderer import on_streamlits_page, reference, text_of
from tests.web.html_reader import as_shared, fragments_lead_somewhere, seen_in, tree_of

REL = 'rel="nofollow noopener noreferrer ugc"'


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.says)
def test_a_reply_is_shown_as_on_the_chat_page(reply: Seen) -> None:
    assert seen_in(to_html(reply.says)) == as_shared(reply.shown)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_is_shown_as_commonmark_has_it(text: str) -> None:
    assert seen_in(to_html(text)) == as_shared(reference(text))


@pytest.mark.parametrize(
    "text",
    [
        "甲\n乙\n\n- 丙\n  丁\n\n> 戊\n> 己\n",
        "| 甲<br>乙 | b |\n|--|--|\n| c<BR/>d<br /> | e |\n\n丙<br>丁",
        "写信到a_b@c.org。[a@b.co](https://a.org/) 见www.a.com，或https://a.org/b。",
        "x[^1] y[^b] z[^1]\n\n[^1]: One.\n[^b]: A longer note.\n\n    Its second part.\n",
        "x[^1]\n[^1]: One.",
        "[^b]: First, with[^1]\n\n> x[^b]\n>\n> [^1]: Within.\n",
        "![甲](https://h.org/x.png) ![](https://h.org/y.png)",
        "```mermaid\ngraph TD\n```\n",
        "## 甲 <b>乙</b>\n\n<details>\n\n丙",
    ],
)
def test_its_text_is_the_chat_pages(text: str) -> None:
    assert text_of(seen_in(to_html(text))) == text_of(on_streamlits_page(complete_blocks(text)))


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("- [x] 读**原文**\n- [ ] b", [True, False]),
        ("1. [X] a\n\n2. [ ] `b`\n", [True, False]),
        ("- [x] **all of it**", [True]),
        ("- [ ]\n- [x]a\n- a [x] b\n- **[x] a**\n\n[x] a", []),
    ],
)
def test_a_task_has_a_box(text: str, html: list[bool]) -> None:
    boxes = [element.attributes for element in tree_of(to_html(text)).walk() if element.tag == "input"]
    assert ["checked" in box for box in boxes] == html
    assert all(box["type"] == "checkbox" and "disabled" in box for box in boxes)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[甲](www.a.org/b)", "http://www.a.org/b"),
        ("[甲](WWW.a.org)", "http://WWW.a.org"),
        ("[甲](//a.org/b)", "https://a.org/b"),
        ("[甲](HTTPS://a.org/?b=1&c=%22)", "HTTPS://a.org/?b=1&amp;c=%22"),
        ("<mailto:a@b.co>", "mailto:a@b.co"),
        ("a@b.co", "mailto:a@b.co"),
    ],
)
def test_a_link_leads_to_another_server(text: str, address: str) -> None:
    assert f'<a href="{address}" {REL}>' in to_html(text)


@pytest.mark.parametrize(
    "address",
    ["/logout", "b", "#b", "?copy=b", "../s/b", "http:b", "https:", "tel:1", "ftp://a.org", "javascript:a", "data:,b"],
)
def test_any_other_is_text(address: str) -> None:
    assert "<a" not in to_html(f"[甲]({address}) <{address}> ![甲]({address})")


def test_a_title_is_kept() -> None:
    assert f'<a href="https://a.org" {REL} title="&lt;b&gt; &quot;c">' in to_html("[甲](https://a.org '<b> \"c')")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![甲](https://h.org/x.png 't')", f'<a href="https://h.org/x.png" {REL} title="t">甲 (h.org)</a>'),
        ("![](https://h.org/)", f'<a href="https://h.org/" {REL}>h.org</a>'),
        ("![](www.h.org/x.png)", f'<a href="http://www.h.org/x.png" {REL}>x.png</a>'),
        ("![甲](x.png)", "<p>甲</p>"),
        ("![甲](data:image/png;base64,iVBORw0KGgo=)", "<p>甲</p>"),
    ],
)
def test_a_picture_is_named_and_not_fetched(text: str, shown: str) -> None:
    assert shown in to_html(text)


def test_footnotes_lead_there_and_back() -> None:
    html = to_html("x[^n] y[^n] z[^m]\n\n[^m]: Two.\n[^n]: One.\n[^o]: Never mentioned.", "7-")
    assert '<sup id="7-ref-1"><a href="#7-note-1">1</a></sup> y<sup><a href="#7-note-1">1</a></sup>' in html
    assert '<div class="note" id="7-note-1">\n<p><sup><a class="back" href="#7-ref-1">1</a></sup> One.</p>' in html
    assert '<div class="note" id="7-note-3">\n<p><sup>3</sup> Never mentioned.</p>' in html
    assert "[^" not in html


def test_a_formula_within_a_paragraph_has_lines_of_its_own() -> None:
    html = re.sub("<math.*?</math>", "<math>", to_html("so\n\\[x\\]\nand $$y$$ then\n\n- a \\[z\\] b\n\n**a $$x$$ b**"))
    drawn = '<div class="scroll"><math></div>\n'
    assert html == (
        f"<p>so</p>\n{drawn}<p>and</p>\n{drawn}<p>then</p>\n<ul>\n<li>a\n{drawn}b\n</li>\n</ul>\n"
        "<p><strong>a <math> b</strong></p>\n"
    )


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


def test_cells_are_aligned() -> None:
    html = to_html("| a | b | c |\n|--:|:-:|:--|\n| 1 | 2 | 3 |\n")
    assert '<td class="right">1</td><td class="center">2</td><td>3</td>' in html


def test_a_reply_nested_without_end_is_shown_all_the_same() -> None:
    assert "end" in to_html("> " * 3000 + "deep\n\nend")
    assert to_html("[" * 5000 + "*" * 5000)
    assert to_html("**a _b " * 1000 + "_ **" * 1000).startswith("<pre><code>**a _b")


def test_many_are_read_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: to_html(f"$x_{{{number}}}$"), range(400)))
    assert all(f"<mn>{number}</mn>" in html for number, html in enumerate(found) if number < 10)
    assert all("<math>" in html for html in found)


_ACTING = [
    *["<script>", "</", '"', "'", "`", "```\n", "```math\n", "$", "$$\n", "\\", "\\(", "{", "}", "&", "<", ">", "|"],
    *["javascript:", "[x](", ")", "![", "[^x]", "\n[^x]: ", "\n- [x] ", "<br>", "a@b.co", "https://a.org/"],
    *["\n", "\n\n", "> ", "onx=1", "style=", "data:text/html,", "//", "<img src=x onx=1>", "\n|a|b|\n|--|-:|\n"],
    *["\\frac", "\\text{", "\\textbf{", "\\color{", "\\hspace{", "\\href{", r"\begin{align}", r"\end{align}"],
]  # fmt: skip

_LINK = {"href", "rel", "title", "class"}
_MATH = {"mathvariant", "displaystyle", "scriptlevel", "stretchy", "symmetric", "lspace", "rspace", "movablelimits",
         "linethickness", "width", "height", "voffset", "minsize", "maxsize", "accent", "accentunder", "notation",
         "form", "style"}  # fmt: skip
_BARE = "p|h[1-6]|ul|hr|blockquote|pre|code|strong|em|s|br|table|thead|tbody|tr|b|i"
_MAY_HAVE = {
    **{"ol": {"start"}, "li": {"class"}, "td": {"class"}, "th": {"class"}, "span": {"class"}, "div": {"class", "id"}},
    **{"sup": {"id"}, "a": _LINK, "input": {"type", "disabled", "checked"}, "math": {"display"}},
}
"""All that comes of a reply, but for what formulas are made of: those elements have names that begin with an m."""

_STYLE = re.compile(r"(?:[a-z-]+: ?[\w#.%-]+;?)*")


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(_ACTING + PIECES + OWN_PIECES), max_size=30).map("".join))
@example("[a](https://a.org/'\"><script>x</script>)")
@example("$\\textbf{<script>}\\color{red}{x}$")
def test_nothing_comes_of_what_somebody_writes_but_a_few_harmless_elements(text: str) -> None:
    tree = tree_of(to_html(text, "1-"))
    for element in tree.walk():
        allowed = _MAY_HAVE.get(element.tag, _MATH if re.fullmatch("m[a-z]+", element.tag) else set())
        assert allowed or re.fullmatch(f"{_BARE}|", element.tag), element
        assert set(element.attributes) <= allowed, element
        assert _STYLE.fullmatch(element.attributes.get("style", "")), element
        if element.tag == "a" and not element.attributes["href"].startswith("#1-"):
            assert re.match("https?://|mailto:", element.attributes["href"], re.IGNORECASE)
            assert {"nofollow", "noopener"} <= set(element.attributes["rel"].split())
    assert fragments_lead_somewhere(tree)
