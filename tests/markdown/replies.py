"""Replies as models write them, and what a reader is to see: the examples of each class, for page and browser alike."""

from dataclasses import dataclass, field

from tests.markdown.streamlit_renderer import Block, Run


@dataclass(frozen=True)
class Seen:
    """What a reply says, and the blocks that a reader sees."""

    says: str
    shown: list[Block] = field(compare=False)


def run(text: str, *styles: str) -> Run:
    return (text, frozenset(styles))


def line(*runs: Run | str) -> Block:
    return ("paragraph", [run(one) if isinstance(one, str) else one for one in runs])


def link(text: str, address: str | None = None, *styles: str) -> Run:
    return run(text, f"link to {address or text}", *styles)


LINE_BREAKS = [
    Seen("床前明月光，\n疑是地上霜。", [line("床前明月光，\n疑是地上霜。")]),
    Seen("1、甲\n2、乙", [line("1、甲\n2、乙")]),
    Seen("甲：你好\n乙：你好", [line("甲：你好\n乙：你好")]),
    Seen("Jane Doe\n1 Main Street\nSpringfield", [line("Jane Doe\n1 Main Street\nSpringfield")]),
    Seen("- one\n  more", [("bullet_list", [("list_item", [line("one\nmore")])])]),
    Seen("> one\n> more", [("blockquote", [line("one\nmore")])]),
    Seen("**one\nmore**", [line(run("one\nmore", "strong"))]),
    Seen("a  \nb\\\nc", [line("a\nb\nc")]),
    Seen("　　春眠不觉晓，\n　　处处闻啼鸟。", [line("　　春眠不觉晓，\n　　处处闻啼鸟。")]),
    Seen("> 　　一\n> 　　二", [("blockquote", [line("　　一\n　　二")])]),
    Seen("A title\nof two lines\n===", [("h1", [run("A title\nof two lines")])]),
    Seen("一\n# 二", [line("一"), ("h1", [run("二")])]),
]

CODE = [
    Seen("    x = '$a$'  # *b* <c>\n\n    y", [("code", "x = '$a$'  # *b* <c>\n\ny")]),
    Seen("1. a\n\n       x $1 < 2\n", [("from 1", [("list_item", [line("a"), ("code", "x $1 < 2")])])]),
    Seen("```\n:material/home: $x$ -- ->\n```", [("code", ":material/home: $x$ -- ->")]),
    Seen("```\n\n\nx\n\ny\n```", [("code", "\n\nx\n\ny")]),
    Seen("- a\n  ```py\n\n  x\n  ```", [("bullet_list", [("list_item", [line("a"), ("code", "\nx")])])]),
    Seen("```mermaid\ngraph TD\nA-->B\n```", [("code", "graph TD\nA-->B")]),
    Seen(
        '> ~~~Mermaid\n> graph TD\n> A@{ img: "https://h.org/x.png" }\n> ~~~',
        [("blockquote", [("code", 'graph TD\nA@{ img: "https://h.org/x.png" }')])],
    ),
    Seen("```mermaid-x {a=1}\nno drawing\n```", [("code", "no drawing")]),
    Seen("````md\n```\nx\n```\n````", [("code", "```\nx\n```")]),
    Seen("> ```\n> a:b:c\n> ```", [("blockquote", [("code", "a:b:c")])]),
    Seen("`` a`b `` 和`$5`", [line(run("a`b", "code"), " 和", run("$5", "code"))]),
    Seen("`a`和`:smile:`", [line(run("a", "code"), "和", run(":smile:", "code"))]),
]

EMPHASIS = [
    Seen("**50%**左右", [line(run("50%", "strong"), "左右")]),
    Seen("**`pip`**命令", [line(run("pip", "strong", "code"), "命令")]),
    Seen("**C++**编程", [line(run("C++", "strong"), "编程")]),
    Seen("**注意：**请看", [line(run("注意：", "strong"), "请看")]),
    Seen("叫做**“百川”**的", [line("叫做", run("“百川”", "strong"), "的")]),
    Seen("**“甲”**和**“乙”**都", [line(run("“甲”", "strong"), "和", run("“乙”", "strong"), "都")]),
    Seen("*斜体。*后", [line(run("斜体。", "em"), "后")]),
    Seen("前_“斜”_后", [line("前", run("“斜”", "em"), "后")]),
    Seen("__粗体：__后", [line(run("粗体：", "strong"), "后")]),
    Seen("***又粗又斜！***后", [line(run("又粗又斜！", "strong", "em"), "后")]),
    Seen("~~删除。~~后", [line(run("删除。", "s"), "后")]),
    Seen("**日期：**2024年5月", [line(run("日期：", "strong"), "2024年5月")]),
    Seen("API**（接口）**和é**“词”**2", [line("API", run("（接口）", "strong"), "和é", run("“词”", "strong"), "2")]),
    Seen("~~旧价：~~99元，*约……*A", [line(run("旧价：", "s"), "99元，", run("约……", "em"), "A")]),
    Seen("数据_2024_备份.xlsx 和 _斜_ 的", [line("数据_2024_备份.xlsx 和 ", run("斜", "em"), " 的")]),
    Seen("**価格（税込）**は", [line(run("価格（税込）", "strong"), "は")]),
    Seen("**중요!**입니다", [line(run("중요!", "strong"), "입니다")]),
    Seen("**好✅**的", [line(run("好✅", "strong"), "的")]),
    Seen("**25℃**时", [line(run("25℃", "strong"), "时")]),
    Seen("**$x^2$**是", [line(run("x^2", "strong", "math_inline"), "是")]),
    Seen(
        "**[百川官网](https://www.baichuan-ai.com/)**了解",
        [line(link("百川官网", "https://www.baichuan-ai.com/", "strong"), "了解")],
    ),
    Seen(
        "**见[甲](/b)和`c`。**完",
        [
            line(
                run("见", "strong"),
                link("甲", "/b", "strong"),
                run("和", "strong"),
                run("c", "strong", "code"),
                run("。", "strong"),
                "完",
            )
        ],
    ),
    Seen("- **甲：**乙", [("bullet_list", [("list_item", [line(run("甲：", "strong"), "乙")])])]),
    Seen("!|2)\n:-", [line("!|2)\n:-")]),
    Seen(r"\``a` 和 \(n\)2", [line("`", run("a", "code"), " 和 ", run("n", "math_inline"), "2")]),
    Seen("snake_case_name and 2 * 3 * 4", [line("snake_case_name and 2 * 3 * 4")]),
    Seen("3~5天，每天2~3次", [line("3~5天，每天2~3次")]),
]

ADDRESSES = [
    Seen("见 https://penguin.ooo，然后", [line("见 ", link("https://penguin.ooo"), "，然后")]),
    Seen("打开https://a.org/b?c=d&e=1。好", [line("打开", link("https://a.org/b?c=d&e=1"), "。好")]),
    Seen("https://a.org/b中文", [line(link("https://a.org/b"), "中文")]),
    Seen(
        "www.example.com:8080/path 吧",
        [line(link("www.example.com:8080/path", "http://www.example.com:8080/path"), " 吧")],
    ),
    Seen("（https://a.org/x_(y)）", [line("（", link("https://a.org/x_(y)"), "）")]),
    Seen("(see https://a.org/x_y_z).", [line("(see ", link("https://a.org/x_y_z"), ").")]),
    Seen("**https://a.org/**了解", [line(link("https://a.org/", "https://a.org/", "strong"), "了解")]),
    Seen("http://localhost:6006/v1", [line(link("http://localhost:6006/v1"))]),
    Seen("“https://a.org/b”", [line("“", link("https://a.org/b"), "”")]),
    Seen("<https://a.org/b>后", [line(link("https://a.org/b"), "后")]),
    Seen("邮箱a_b@c.com，谢谢", [line("邮箱", link("a_b@c.com", "mailto:a_b@c.com"), "，谢谢")]),
    Seen("https://münchen.de/x 和", [line(link("https://münchen.de/x", "https://xn--mnchen-3ya.de/x"), " 和")]),
    Seen("见https://ελ.gr，好", [line("见", link("https://ελ.gr", "https://xn--qxam.gr"), "，好")]),
    Seen(
        "见https://penguin.ooo然后https://a.orgไทย",
        [line("见", link("https://penguin.ooo"), "然后", link("https://a.org"), "ไทย")],
    ),
    Seen("https://a.org/a\\_b\\*c 和", [line(link("https://a.org/a_b*c"), " 和")]),
    Seen("https://a.org/b\\*\\*，", [line(link("https://a.org/b"), "**，")]),
    Seen("edit setup.py and README.md", [line("edit setup.py and README.md")]),
    Seen("https://me:x@a.org:8/b", [line(link("https://me:x@a.org:8/b"))]),
    Seen("[甲](www.a.org/b)", [line(link("甲", "http://www.a.org/b"))]),
    Seen("[https://a.org](https://b.org)", [line(link("https://a.org", "https://b.org"))]),
]

REFERENCES = [
    Seen(
        "[docs][docs] and [it][there]\n\n[docs]: https://a.org/b\n[there]: <https://a.org/c> 'c'\n",
        [line(link("docs", "https://a.org/b"), " and ", link("it", "https://a.org/c"))],
    ),
    Seen(
        "A claim[^1] and[^b].\n\n[^b]: See there.\n[^1]: Here.",
        [
            line("A claim¹ and²."),
            line("² See there."),
            line("¹ Here."),
        ],
    ),
    Seen("An array[0] and [nothing][y] [^z]", [line("An array[0] and [nothing][y] [^z]")]),
]

FOOTNOTES = [
    Seen(
        "A[^1] B[^2] C[^3] D[^4] E[^5]\n\n[^1]: - item\n\n[^2]: ```\n    code\n    ```\n\n[^3]: > said\n\n"
        "[^4]: 1. one\n\n[^5]: # Title\n\n    more\n",
        [
            line("A¹ B² C³ D⁴ E⁵"),
            *(line("¹"), ("bullet_list", [("list_item", [line("item")])])),
            *(line("²"), ("code", "code")),
            *(line("³"), ("blockquote", [line("said")])),
            *(line("⁴"), ("from 1", [("list_item", [line("one")])])),
            *(line("⁵"), ("h1", [run("Title")]), line("more")),
        ],
    ),
    Seen(
        "A[^1] B[^2] C[^3]\n\n[^1]: | a |\n    |--|\n    | b |\n\n[^2]: \\[x\\] is\n\n[^3]: one\n\n    - two\n",
        [
            line("A¹ B² C³"),
            *(
                line("¹"),
                ("table", [("thead", [("tr", [("th", [run("a")])])]), ("tbody", [("tr", [("td", [run("b")])])])]),
            ),
            *(line("²"), ("formula", "x"), line("is")),
            *(line("³ one"), ("bullet_list", [("list_item", [line("two")])])),
        ],
    ),
]
"""Each is a reply of its own: footnotes are numbered through the whole of it."""

FORMULAS = [
    Seen(r"let \(x^2\) be", [line("let ", run("x^2", "math_inline"), " be")]),
    Seen("H$_2$O 和 Ca$^{2+}$", [line("H", run("_2", "math_inline"), "O 和 Ca", run("^{2+}", "math_inline"))]),
    Seen(
        r"25$^\circ$C, 3$\times$3, k$_{cat}$s, x_1$x_1$1",
        [
            line(
                *("25", run(r"^\circ", "math_inline"), "C, 3", run(r"\times", "math_inline"), "3, k"),
                *(run("_{cat}", "math_inline"), "s, x_1", run("x_1", "math_inline"), "1"),
            )
        ],
    ),
    Seen("the $n$th of $2n$", [line("the ", run("n", "math_inline"), "th of ", run("2n", "math_inline"))]),
    Seen("\\[\n1\n\\]\n", [("formula", "1")]),
    Seen(
        "\\begin{subequations}\\label{eq:a}\n\\begin{align}\na &= b\n\\end{align}\n\\end{subequations}\n后",
        [("formula", "\\begin{align*}\na &= b\n\\end{align*}"), line("后")],
    ),
    Seen(r"无\(\label{a}\)号\[\label{b}\]也", [line("无号也")]),
    Seen("其中$x$是", [line("其中", run("x", "math_inline"), "是")]),
    Seen(r"速度 $v_{\text{最大}}$ 是", [line("速度 ", run(r"v_{\text{最大}}", "math_inline"), " 是")]),
    Seen("\\[\nx\n\n+ y\n\\]\n", [("formula", "x\n+ y")]),
    Seen(r"$0.5 \times 2$", [line(run(r"0.5 \times 2", "math_inline"))]),
    Seen("$2x + 3y$ or $5$", [line(run("2x + 3y", "math_inline"), " or ", run("5", "math_inline"))]),
    Seen("$$x = 1$$", [("formula", "x = 1")]),
    Seen("so\n$$\nx\n$$\nthen", [line("so"), ("formula", "x"), line("then")]),
    Seen("so $$\nx\n$$\nthen", [line("so"), ("formula", "x"), line("then")]),
    Seen(
        "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}",
        [
            ("formula", "\\begin{align*}\na &= b \\\\\nc &= d\n\\end{align*}"),
        ],
    ),
    Seen(
        "\\begin{eqnarray}\na &=& b\n\\end{eqnarray}\n后",
        [("formula", "\\begin{align*}\na &=& b\n\\end{align*}"), line("后")],
    ),
    Seen(
        r"记 \begin{aligned}a&=b\end{aligned} 为",
        [line("记"), ("formula", r"\begin{aligned}a&=b\end{aligned}"), line("为")],
    ),
    Seen("- so \\[x\\].\n", [("bullet_list", [("list_item", [line("so"), ("formula", "x"), line(".")])])]),
    Seen("> $$\n> y\n> $$", [("blockquote", [("formula", "y")])]),
    Seen("$$a \\\\[2pt] b$$", [("formula", "a \\\\[2pt] b")]),
    Seen("```math\nx^2\n```", [("formula", "x^2")]),
    Seen(
        "| \\[x\\] | $\\|a\\|$ |\n|--|--|",
        [
            (
                "table",
                [
                    (
                        "thead",
                        [
                            (
                                "tr",
                                [
                                    ("th", [run(r"\displaystyle x", "math_inline")]),
                                    ("th", [run(r"\vert a\vert", "math_inline")]),
                                ],
                            )
                        ],
                    )
                ],
            )
        ],
    ),
]

MONEY = [
    Seen(text, [line(text)])
    for text in (
        "$5 to $10",
        r"$5 \path $5",
        "US$__$5",
        "$7 (US$)",
        "US$5 to US$10",
        "between $5-$6",
        "about $5 to 10$ each",
        "价格是$5，不是5$",
        "$5/month, $50/year",
        "a $ sign, $PATH and $HOME/bin",
        "in dollars ($) or pesos ($)",
        "$3.00 x 2 = $6.00, $1 + $2 = $3",
        "$3 个苹果和 $5 个梨，从$10涨到$20",
        "$40-50 per month, $500 a year; $12 per unit vs. $15",
        "$100k-$200k, $5/$10 and $5~$10",
        "$1,000 and more, up to 2,000$ in all",
        'The "$" sign and the "$" key',
        "Price [$] and cost [$], {$} or {$}",
        "“$”和“$”键，（$）与（$），'$' or '$'",
        "US$5 or A$7, S$5_000 or A$7, cost$5$each",
        "US$10^6 to A$5, x$y and z$w",
        "$PATH$HOME and $FIRST_NAME$LAST_NAME",
    )
]

CITATIONS = [
    Seen(r"\[1\] Smith, \[2\] Doe", [line("[1] Smith, [2] Doe")]),
    Seen(r"\[12\]", [line("[12]")]),
    Seen("见 \\[3, 5–7\\]。\n\n> 又\\[1、2\\]", [line("见 [3, 5–7]。"), ("blockquote", [line("又[1、2]")])]),
    Seen(
        r"**$** sign and **$** key, $5\-$10",
        [line(run("$", "strong"), " sign and ", run("$", "strong"), " key, $5-$10")],
    ),
]

OWN_MARKS = [
    Seen(text, [line(text)])
    for text in (
        "12:30:45 and 1:100:2",
        "10:30{x}, 1:2{x} and 姓名:用户{name}",
        "时:é{x} 点:😀[y] of:x-y{z} :-a[b] 甲:　乙 a::b[c]",
        "std::vector<int> &&x",
        ":red[x] :smile: :-1: :streamlit: :material/home: :small[y] :help[z]",
        "a -> b <- c <-> d -- e >= f <= g ~= h",
        "->",
        "wow! :tada:!",
        "AT&T &amp",
    )
]

COLONS = [
    Seen("会议 10:30[链接](https://a.org)", [line("会议 10:30", link("链接", "https://a.org"))]),
    Seen("16:9[1](/b) 详见:官方[文档](/c)", [line("16:9", link("1", "/b"), " 详见:官方", link("文档", "/c"))]),
    Seen("来源:新华网[1][ref]\n\n[ref]: /b\n", [line("来源:新华网", link("1", "/b"))]),
    Seen("# 姓名:用户{name}", [("h1", [run("姓名:用户{name}")])]),
    Seen("**1:2{x}** [甲:乙{x}](/b)", [line(run("1:2{x}", "strong"), " ", link("甲:乙{x}", "/b"))]),
    Seen("| a:1{x} |\n|--|", [("table", [("thead", [("tr", [("th", [run("a:1{x}")])])])])]),
]
"""What stands before a label or braces would be the name of a directive."""

HTML = [
    Seen("<b>x</b> and <script>y</script>", [line("<b>x</b> and <script>y</script>")]),
    Seen("<div>\n**x**\n</div>", [line("<div>\n", run("x", "strong"), "\n</div>")]),
    Seen("<!-- hidden -->", [line("<!-- hidden -->")]),
    Seen("a<br>b", [line("a<br>b")]),
    Seen(
        "| a<br>b | c</br>d |\n|--|--|",
        [
            (
                "table",
                [
                    (
                        "thead",
                        [
                            (
                                "tr",
                                [
                                    ("th", [run("a\nb")]),
                                    ("th", [run("c\nd")]),
                                ],
                            )
                        ],
                    )
                ],
            )
        ],
    ),
]

PICTURES = [
    Seen("![a](https://h.org/x.png)", [line(link("a (h.org)", "https://h.org/x.png"))]),
    Seen("![a [b] c](https://h.org/x.png)", [line(link("a [b] c (h.org)", "https://h.org/x.png"))]),
    Seen("![](https://h.org/x.png)", [line(link("x.png (h.org)", "https://h.org/x.png"))]),
    Seen("![](https://h.org/)", [line(link("h.org", "https://h.org/"))]),
    Seen("![](https://h.org/x/)", [line(link("x (h.org)", "https://h.org/x/"))]),
    Seen("![a][p]\n\n[p]: https://h.org/x.png\n", [line(link("a (h.org)", "https://h.org/x.png"))]),
    Seen("![a `]` *b*](//h.org/x.png)", [line(link("a ] b (h.org)", "//h.org/x.png"))]),
    Seen("[![a](https://h.org/x.png)](https://b.org)", [line(link("a (h.org)", "https://b.org"))]),
    Seen("![a]\n(https://h.org/x.png)", [line("![a]\n(", link("https://h.org/x.png"), ")")]),
    Seen("Look![a](https://b.org)", [line("Look", link("a (b.org)", "https://b.org"))]),
    Seen("Look!![a](https://b.org)", [line("Look!", link("a (b.org)", "https://b.org"))]),
]

REPLIES = [
    *LINE_BREAKS, *CODE, *EMPHASIS, *ADDRESSES, *REFERENCES, *FORMULAS, *MONEY, *CITATIONS, *OWN_MARKS, *COLONS, *HTML,
    *PICTURES,
]  # fmt: skip
