"""Every text of the page, of the plain pages and of the sign-in page is in every language, and nowhere else."""

import re
import string
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import pytest

from components import access, ui, web
from components.access import login_page
from components.chats.import_errors import ImportProblem
from components.ui.chat.sliders import SLIDERS
from components.ui.texts import EN, TEXTS, ZH, Texts
from components.web import texts as plain_texts
from tests.server import ROOT
from tests.written_out import lonely_errors, spoken_errors, written_in_template, written_out

CATALOGUES: dict[str, tuple[Any, Any]] = {
    "page": (EN, ZH),
    "plain pages": (plain_texts._EN, plain_texts._ZH),
    "sign-in page": (login_page._EN, login_page._ZH),
}
"""In English and in Chinese."""

CLASSES = ("Texts", "OperationsTexts", "DataTexts", "ShareTexts", "InsideTexts", "PageTexts", "_Texts")

SAME_EVERYWHERE = {"Baichuan", "GB", "POST", "s", "token", "tokens", "v"}
"""Words that Chinese writes as English does."""

UI, WEB, SIGN_IN = (Path(str(module.__file__)).parent for module in (ui, web, access))

SOURCES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*UI.rglob("*.py"), *WEB.glob("*.py"), SIGN_IN / "login_page.py")
    if path.parent != UI / "texts"
}
"""What stands in ``markdown`` rewrites replies and shows nothing itself."""

TEMPLATES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*WEB.rglob("*.html"), SIGN_IN / "login.html")
}

NO_TEXTS = {
    "Vary",
    "Accept-Language",
    "nofollow noopener noreferrer ugc",
    "pre code",
    "User-agent: *",
    "Disallow: /s/",
    "week",
    "rerun",
}
"""What looks like words and is read by programs only."""

TOLD_IN_TEXTS = {"ImportFileError"}
"""Errors that a catalogue has sentences for. Others have but the reason from elsewhere, behind a text of the page."""

CHINESE = re.compile(r"[\u4e00-\u9fff]")


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


def words(text: str) -> set[str]:
    """All but what is filled in."""
    return set(re.findall(r"[^\W\d_]+", "".join(part for part, _, _, _ in string.Formatter().parse(text))))


PAIRS = {
    f"{catalogue}: {path}": (text, leaves(asdict(chinese)).get(path))
    for catalogue, (english, chinese) in CATALOGUES.items()
    for path, text in leaves(asdict(english)).items()
    if path != "lang"
}


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_no_text_lacks_a_language(catalogue: str) -> None:
    english, chinese = (leaves(asdict(texts)) for texts in CATALOGUES[catalogue])
    assert english.keys() == chinese.keys()
    assert all(text.strip() for texts in (english, chinese) for text in texts.values())


@pytest.mark.parametrize(("english", "chinese"), PAIRS.values(), ids=list(PAIRS))
def test_each_text_is_in_its_language_and_is_filled_in_with_the_same(english: str, chinese: str) -> None:
    assert names(english) == names(chinese)
    assert not CHINESE.search(english)
    assert CHINESE.search(chinese) or words(chinese) <= SAME_EVERYWHERE, "this is not Chinese"


def test_a_log_probability_is_called_so_in_chinese_wherever_the_lab_speaks_of_it() -> None:
    for told in (ZH.lab.metrics, ZH.lab.metric_help):
        assert "对数概率" in told["logprob"]


def test_each_text_is_used() -> None:
    code = "\n".join((*SOURCES.values(), *TEMPLATES.values()))
    used = set(re.findall(r"\b(?:current_)?texts(?:_for)?(?:\([\w.]*\))?\.(\w+)", code))
    used |= {"user", "assistant"}  # by the role of a message
    for texts in (EN, EN.operations, plain_texts._EN, login_page._EN):
        assert set(asdict(texts)) <= used, "some are shown nowhere"


@pytest.mark.parametrize("texts", TEXTS.values(), ids=list(TEXTS))
def test_every_sampling_parameter_of_the_sidebar_has_a_name_and_help(texts: Texts) -> None:
    assert texts.labels.keys() == texts.help.keys() == {*SLIDERS, "seed"}
    assert all(texts.help.values())


def found_in(source: str) -> list[str]:
    found = written_out(source, SOURCES.values(), CLASSES)
    return [text for text in found if text.partition(": ")[2] not in NO_TEXTS]


@pytest.mark.parametrize("name", SOURCES)
def test_no_text_stands_in_the_code(name: str) -> None:
    assert found_in(SOURCES[name]) == []


@pytest.mark.parametrize("name", SOURCES)
def test_what_an_error_says_never_stands_alone(name: str) -> None:
    assert lonely_errors(SOURCES[name]) == []


@pytest.mark.parametrize("name", SOURCES)
def test_an_error_that_has_texts_does_not_speak_itself(name: str) -> None:
    assert spoken_errors(SOURCES[name], TOLD_IN_TEXTS) == []


@pytest.mark.parametrize("texts", TEXTS.values(), ids=list(TEXTS))
def test_whatever_is_wrong_with_a_file_there_is_a_text(texts: Texts) -> None:
    assert texts.mine.problems.keys() == set(get_args(ImportProblem))


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_text_stands_in_a_template(name: str) -> None:
    assert written_in_template(TEMPLATES[name]) == []


def test_nothing_is_exempt_for_no_reason() -> None:
    code = "\n".join(SOURCES.values())
    assert all(text in code for text in NO_TEXTS)


def test_what_rewrites_replies_shows_nothing_itself() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "components/markdown").glob("*.py")]
    assert sources
    assert not [source for source in sources if "import streamlit" in source]


@pytest.mark.parametrize(
    "source",
    [
        'st.button("Send", key="send")',
        'st.button("send")',
        'st.button("重试")',
        'st.caption("Отправить")',
        'container.caption(f"{texts.done} after {seconds} s")',
        'st.slider(texts.top_p, help="How likely")',
        'st.markdown("**" + "重试" + "**")',
        'st.title(texts.a if short else "Baichuan")',
        'st.text(caption or "nothing")',
        'st.text("{} of {}".format(1, 2))',
        'st.tabs(["one", texts.two])',
        'st.dataframe({"name": [1]})',
        'st.column_config.NumberColumn(label="speed")',
        'st.text_input(texts.ask, "hello")',
        'st.selectbox(texts.kind, options=["short", "long"])',
        'st.html("<p>hello</p>")',
        'st.html(f"<b title={name}>hello</b>")',
        'label = "more"\nst.button(label)',
        'draw_icon_button("edit", "edit", 1, edit, ())',
        'draw_icon_button("edit", name="edit", message=1)',
        'draw_link("logout", "leave")',
        'def draw(text):\n    st.text(text)\ndraw("hello")',
        'def outer(x):\n    inner(x)\ndef inner(y):\n    st.text(f"{y}!")\nouter("hello")',
        'for label in ("Good", "Bad"):\n    st.button(label)',
        'figures = {"Waiting": 1}\nfor label, value in figures.items():\n    st.metric(label, value)',
        'figures = {"waiting": 1}\nfor label, value in figures.items():\n    st.metric(label, value)',
        'for number, (title, line) in enumerate({"speed": []}.items()):\n    st.caption(title)',
        'for icon, label in (("thumb_up", "good"), ("thumb_down", texts.poor)):\n    st.button(label, icon=icon)',
        'alt.X("time:T", title="time")',
        'page(request, "problem.html", title="oops")',
        'answer = HTMLResponse("<p>Not found</p>")',
        'return_value = "please wait"',
    ],
)
def test_a_text_in_the_code_is_found(source: str) -> None:
    assert found_in(source)


@pytest.mark.parametrize(
    "source",
    [
        'st.button(texts.send, key="send", icon=":material/send:", type="primary", width="stretch")',
        'st.html("<style>.stButton {color: red}</style>")',
        'st.markdown(f":shimmer[{texts.loading} …]")',
        'st.chat_message("user", avatar=":material/person:")',
        'draw_link("logout", texts.sign_out)',
        'for icon, label in (("thumb_up", texts.good), ("edit", texts.edit)):\n    st.button(label, icon=icon)',
        'draw_icon_button("edit", texts.edit, 1, edit, ())',
        'logger.warning("The store is away")',
        'raise ValueError("There is no such thing")',
        'def f() -> "Some Class":\n    """What it does."""',
        'st.session_state["edited_message"] = 1',
    ],
)
def test_what_nobody_reads_is_not_taken_for_a_text(source: str) -> None:
    assert found_in(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept StoreError as error:\n    st.toast(str(error))",
        "try:\n    f()\nexcept StoreError as problem:\n    st.warning(problem)\n    st.text(texts.again)",
        "def draw(error: StoreError):\n    st.error(str(error))",
    ],
)
def test_an_error_alone_is_found(source: str) -> None:
    assert lonely_errors(source)


@pytest.mark.parametrize("shown", ["str(error)", "error", 'f"{error}"', "error.args[0]"])
def test_an_error_that_speaks_itself_is_found(shown: str) -> None:
    source = f"try:\n    f()\nexcept (ImportFileError, OSError) as error:\n    show(texts.wrong, {shown})"
    assert bool(spoken_errors(source, TOLD_IN_TEXTS)) == (shown != "error")
    assert spoken_errors(source.replace("ImportFileError", "StoreError"), TOLD_IN_TEXTS) == []


@pytest.mark.parametrize(
    "template",
    [
        "<p>Hello</p>",
        "<p>{{ texts.a }} or</p>",
        '<input placeholder="name">',
        '<img alt="图">',
        "<p>{{ 'Hello' }}</p>",
        "<p>{% if a %}yes{% endif %}</p>",
        "<title>$title now</title>",
        '<button aria-label="close">×</button>',
    ],
)
def test_a_text_in_a_template_is_found(template: str) -> None:
    assert written_in_template(template)
