import pytest

from components.ui.markdown.dialect import to_streamlit, to_streamlit_unfinished


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"let \(x^2\) be", "let $x^2$ be"),
        (r"\( a + b \)", "$a + b$"),
        ("let $x^2$ be", "let $x^2$ be"),
        ("其中$x$是", "其中$x$是"),
        (r"\(n\)2", "$n$ 2"),
        ("\\[\nx\n\\]\n", "$$\nx\n$$\n"),
        ("$$x = 1$$", "$$\nx = 1\n$$"),
        (r"so \[x\] holds", "so \n\n$$\nx\n$$\n\n holds"),
        ("- so \\[x\\].\n", "- so \n\n  $$\n  x.\n  $$\n"),
        ("1. \\[x\\]", "1. $$\n   x\n   $$"),
        (r"| \[x\] |", r"| $\displaystyle x$ |"),
        (r"> \[x\]", r"> $\displaystyle x$"),
        (r"$$a \\[2pt] b$$", "$$\na \\\\[2pt] b\n$$"),
    ],
)
def test_formulas(text: str, shown: str) -> None:
    assert to_streamlit(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $6",
        "between $5-$6",
        "US$5 to US$10",
        "about $5 to 10$ each",
        "价格是$5，不是5$",
        "$5/month, $50/year",
        "a $ sign",
    ],
)
def test_money_is_no_formula(text: str) -> None:
    assert to_streamlit(text) == text.replace("$", r"\$")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12:30:45", r"12\:30\:45"),
        ("std::vector", r"std\:\:vector"),
        (":red[x] :smile: :-1:", r"\:red[x] \:smile\: \:-1\:"),
        (":streamlit: :material/home:", "\\:\u2060streamlit: \\:\u2060material/home:"),
        ("Note: this", "Note: this"),
        ("|:--|:-:|", "|:--|:-:|"),
        ("https://a.org/x:y?z=:a:", "https://a.org/x:y?z=:a:"),
        ("3~5天，2~3次", r"3\~5天，2\~3次"),
        ("~~gone~~", "~~gone~~"),
        ("<b>x</b> <https://a.org> 1 < 2", r"\<b>x\</b> <https://a.org> 1 < 2"),
        ("![a](https://a.org/b.png)", "[a](https://a.org/b.png)"),
        (r"\$5 \*x\*", r"\$5 \*x\*"),
    ],
)
def test_streamlits_own_marks_are_text(text: str, shown: str) -> None:
    assert to_streamlit(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**注意：**请看", "**注意**：请看"),
        ("叫做**“百川”**的", "叫做“**百川**”的"),
        ("**Note:** see", "**Note:** see"),
        ("**$5**", r"**\$5**"),
        ("**bold**text", "**bold**text"),
    ],
)
def test_bold_works_without_spaces_between_words(text: str, shown: str) -> None:
    assert to_streamlit(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        r"`\(x\) $5 a:b`",
        "```py\nx = d['a':'b']  # $5 \\(x\\) <b> 1~2\n```\n",
        "- a\n  ```\n  x:y $5\n  ```\n",
        "``a ` $b:c``",
    ],
)
def test_code_is_left_alone(text: str) -> None:
    assert to_streamlit(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("some **bol", "some **bol**"),
        ("some **", "some"),
        ("some **bold*", "some **bold**"),
        ("run `pip ins", "run `pip ins`"),
        ("run `", "run"),
        ("so $$x +", "so"),
        (r"so \(x +", "so"),
        (r"**so** \[x +", "**so**"),
        ("it costs $5 for", r"it costs \$5 for"),
        ("let $x", "let"),
        ("```py\nx = **y", "```py\nx = **y"),
        ("done **well** `x`", "done **well** `x`"),
    ],
)
def test_an_unfinished_block_shows_no_open_marks(text: str, shown: str) -> None:
    assert to_streamlit_unfinished(text) == shown
