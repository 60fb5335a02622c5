"""What a reader sees of a reply is what the reply says."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.markdown.document import Document, complete_blocks
from tests.markdown.mixtures import OWN_PIECES, PIECES
from tests.markdown.replies import FOOTNOTES, REPLIES, Seen, line, run
from tests.markdown.streamlit_renderer import on_streamlits_page, reference, text_of


def mixtures(pieces: list[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=30).map("".join)


@settings(max_examples=600, deadline=None)
@given(mixtures(PIECES))
def test_any_text_is_shown_as_commonmark_has_it(text: str) -> None:
    assert on_streamlits_page(complete_blocks(text)) == reference(text)


@settings(max_examples=200, deadline=None)
@given(mixtures(PIECES + OWN_PIECES), st.integers(1, 4))
@example("text\n$$\nmore", 1)
@example("a `\u3000` b", 1)
@example("a ` ", 1)
def test_a_reply_that_has_grown_is_shown_like_one_that_came_at_once(text: str, step: int) -> None:
    document = Document()
    for length in range(0, len(text), step):
        document.grow(text[:length])
    document.finish(text)
    assert document.blocks == list(complete_blocks(text))


@settings(max_examples=200, deadline=None)
@given(mixtures([piece for piece in PIECES + OWN_PIECES if "[" not in piece]), st.integers(1, 4))
def test_a_finished_block_never_changes(text: str, step: int) -> None:
    document, finished = Document(), list[str]()
    for length in range(0, len(text), step):
        document.grow(text[:length])
        blocks = document.finished_blocks
        assert blocks[: len(finished)] == finished
        finished = blocks


@pytest.mark.parametrize("reply", REPLIES + FOOTNOTES, ids=lambda reply: reply.says)
def test_a_reply_is_shown_as_it_is_meant(reply: Seen) -> None:
    assert on_streamlits_page(complete_blocks(reply.says)) == reply.shown


@pytest.mark.parametrize("reply", REPLIES + FOOTNOTES, ids=lambda reply: reply.says)
def test_it_is_shown_so_while_it_grows_too(reply: Seen) -> None:
    document = Document()
    for length in range(len(reply.says)):
        document.grow(reply.says[:length])
    document.grow(f"{reply.says}\n\nMore\n")
    *blocks, _ = on_streamlits_page(document.blocks)
    assert blocks == reply.shown


GROWING = [
    ("some **bol", "some bol"),
    ("some **", "some"),
    ("some **bold*", "some bold"),
    ("some *ital", "some ital"),
    ("some ~~gon", "some gon"),
    ("run `pip ins", "run pip ins"),
    ("run `", "run"),
    ("so $$x +", "so"),
    (r"so \(x +", "so"),
    (r"**so** \[x +", "so"),
    ("it costs $5 for", "it costs $5 for"),
    ("let $x", "let"),
    ('the "$" sign', 'the "$" sign'),
    (r"see \[1", "see"),
    (r"see \[1\] and", "see [1] and"),
    ("```py\nx = **y", "x = **y"),
    ("done **well** `x`", "done well x"),
    ("see [the docs](https://exa", "see the docs"),
    ("see ![a picture](https://exa", "see a picture"),
    ("5*3 is", "5*3 is"),
    ("Steps:\n1", "Steps:"),
    ("A title\n--", "A title"),
    ("- one\n-", "one"),
    ("Table:\n| a | b |", "Table:"),
    ("Table:\n| a | b |\n|--", "Table:"),
    ("| a | b |\n|---|---|\n| 1 | 2", "a\nb\n1\n2"),
    ("| a | b | c |\n|---|---|---|\n| 1 | **2", "a\nb\nc\n1\n2\n"),
    ("| a |\n|---|\n| 1 <", "a\n1"),
    ("| a |\n|---|\n| 1<br", "a\n1"),
    ("| a | b |\n|---|---|\n| 1 </br", "a\nb\n1\n"),
    ("So\n$$\nx + y", "So"),
    ("So\n\\begin{align}\nx", "So"),
    ("> quoted **text", "quoted text"),
    ("###", ""),
]


@pytest.mark.parametrize(("text", "shown"), GROWING)
def test_half_a_mark_is_not_shown(text: str, shown: str) -> None:
    document = Document()
    document.grow(text)
    assert text_of(on_streamlits_page(document.blocks)).strip() == shown.strip()


def test_bold_text_is_bold_from_its_first_word_on() -> None:
    document = Document()
    document.grow("some **bold te")
    assert on_streamlits_page(document.blocks) == reference("some **bold te**")


def test_a_definition_reaches_the_blocks_above_it() -> None:
    document = Document()
    document.grow("See [the docs][d] and the note[^n].\n\nMore.\n\n")
    before = document.blocks
    text = "See [the docs][d] and the note[^n].\n\nMore.\n\n[d]: https://a.org/b\n[^n]: A note.\n\nEnd\n"
    document.grow(text)
    assert before[0] == r"See \[the docs\]\[d\] and the note\[^n\]."
    assert document.blocks[0] == "See [the docs](<https://a.org/b>) and the note¹."
    assert document.blocks[1] == before[1]


@pytest.mark.parametrize("task", ["a", "**a** b", "`a`", "[a](<https://b.org>)"])
def test_a_task_has_a_box_whatever_it_begins_with(task: str) -> None:
    assert complete_blocks(f"- [ ] {task}\n- [x] {task}") == (f"- [ ] {task}\n- [x] {task}",)


def test_half_a_definition_makes_no_link() -> None:
    document = Document()
    document.grow("See [d].\n\nMore.\n\n[d]: https://a.or")
    assert document.blocks[0] == r"See \[d\]."


def test_what_a_formula_holds_back_comes_when_it_has_no_end() -> None:
    document = Document()
    document.grow("So\n\n$$\nx\n\nand more")
    assert text_of(on_streamlits_page(document.blocks)) == "So"
    document.finish("So\n\n$$\nx\n\nand more")
    assert text_of(on_streamlits_page(document.blocks)) == "So\n$$\nx\nand more"


@pytest.mark.parametrize("length", [5_000, 20_000])
def test_deep_nesting_is_shown(length: int) -> None:
    text = "".join(f"{'  ' * depth}- level {depth}\n" for depth in range(20)) + "x" * length
    assert "level 19" in "".join(complete_blocks(text))


DELIMITERS = {"**": {"strong"}, "*": {"em"}, "***": {"strong", "em"}, "~~": {"s"}}

beside = st.sampled_from(["", "前", "あ", "글", "。", "，", "”", "　", " ", "😀", "Ａ"])
punctuation = st.characters(categories=["P", "S"], exclude_characters="*_~`\\<>[]$&!#")


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(list(DELIMITERS)), beside, punctuation, st.sampled_from(["词", "word", ""]), punctuation, beside)
def test_emphasis_works_beside_text_without_spaces(
    mark: str, before: str, first: str, word: str, last: str, after: str
) -> None:
    inner = f"{first}{word}{last}"
    blocks = on_streamlits_page(complete_blocks(f"甲{before}{mark}{inner}{mark}{after}乙"))
    assert (inner, frozenset(DELIMITERS[mark])) in blocks[0][1]  # type: ignore[operator]
    assert text_of(blocks) == f"甲{before}{inner}{after}乙"


OPENING, CLOSING = "（《「『【“‘", "，。：；！？、）》」』】”’…—"


@pytest.mark.parametrize("mark", DELIMITERS)
@pytest.mark.parametrize("beside", ["2", "A", "é", "Я"])
@pytest.mark.parametrize(
    "inner", [*(f"词{last}" for last in CLOSING), *(f"{first}词" for first in OPENING), "“GPT”——词—"]
)
def test_emphasis_ends_at_cjk_punctuation_beside_words_with_spaces(mark: str, beside: str, inner: str) -> None:
    text = f"{beside}{mark}{inner}{mark}{beside}"
    shown = [line(beside, run(inner, *DELIMITERS[mark]), beside)]
    assert on_streamlits_page(complete_blocks(text)) == shown
    document = Document()
    for length in range(len(text)):
        document.grow(text[:length])
    document.grow(f"{text} ")
    assert on_streamlits_page(document.blocks) == shown


def test_signs_that_english_has_too_are_chinese_beside_chinese_alone() -> None:
    text = "a**“b”**c"
    assert on_streamlits_page(complete_blocks(text)) == [line(text)]
    assert on_streamlits_page(complete_blocks(f"中 {text}")) == [line("中 a", run("“b”", "strong"), "c")]


@pytest.mark.parametrize(
    "name",
    [
        "数据_2024_备份.xlsx",
        "报告_最终版_v2.docx",
        "张三_（终稿）_李四.pdf",
        "调用__init__方法",
        "甲__乙__丙",
        "变量_x_的",
    ],
)
def test_underscores_in_a_name_stay(name: str) -> None:
    assert on_streamlits_page(complete_blocks(f"打开{name}。")) == [line(f"打开{name}。")]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["https://a.org", "http://a.org:80/b", "www.a.org/b?c=d_e", "https://a.org/(b)"]),
    st.sampled_from(
        [*"，。；：！？、）】》”’」…—·", "中文", "です", "입니다", ".", ", and", "!", ")", "** ", " x", "\n", "`", ""]
    ),
    st.sampled_from(["", "见", "（", "“", "(", "- ", "> "]),
)
def test_an_address_ends_where_the_sentence_goes_on(address: str, after: str, before: str) -> None:
    href = address if "://" in address else f"http://{address}"
    written = "".join(complete_blocks(f"{before}{address}{after}"))
    assert f"(<{href}>)" in written or f"<{href}>" in written
    assert address in text_of(on_streamlits_page([written]))


def test_a_joke_of_a_reply_is_shown_too() -> None:
    text = "**a _b " * 1000 + "_ **" * 1000
    assert complete_blocks(text)[0].startswith("```\n**a _b")
    document = Document()
    document.grow(text[:6000])
    assert document.blocks
