"""The pages to sign in and out: one self-contained file that works without JavaScript."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from http import HTTPStatus
from pathlib import Path
from string import Template
from typing import Literal, Protocol, TypeVar
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse

Problem = Literal["wrong", "wait", "forged"]

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class _Catalogue(Protocol):
    @property
    def lang(self) -> str: ...


_InALanguage = TypeVar("_InALanguage", bound=_Catalogue)


@dataclass(frozen=True)
class _Texts:
    lang: str
    title: str
    lead: str
    label: str
    enter: str
    leave_title: str
    leave_lead: str
    leave: str
    forget: str
    problems: dict[Problem, str]


_EN = _Texts(
    lang="en",
    title="Baichuan 2 chat",
    lead="Enter the access code to go on. Whoever runs this server has it.",
    label="Access code",
    enter="Enter",
    leave_title="Sign out?",
    leave_lead="This browser will need the access code again. Your conversations stay with it: whoever signs in here "
    "next sees them. If that should not be, have this browser forgotten; they cannot be found from here again then.",
    leave="Sign out",
    forget="Sign out and forget this browser",
    problems={
        "wrong": "This code is not valid. Check it, or ask for the current one.",
        "wait": "Too many wrong codes. Try again in {seconds} s.",
        "forged": "Another site sent this form. Enter the code here.",
    },
)
_ZH = _Texts(
    lang="zh-CN",
    title="百川 2 聊天",
    lead="请输入访问码。访问码由运行这台服务器的人提供。",
    label="访问码",
    enter="进入",
    leave_title="退出登录？",
    leave_lead="退出后，此浏览器需要重新输入访问码。您的对话仍与此浏览器关联，下一个在此登录的人会看到它们。"
    "如不希望如此，请选择忘记此浏览器；之后在这里将无法再找到这些对话。",
    leave="退出登录",
    forget="退出登录并忘记此浏览器",
    problems={
        "wrong": "访问码无效。请检查是否输入有误，或索取最新的访问码。",
        "wait": "错误次数过多，请在 {seconds} 秒后再试。",
        "forged": "此表单来自其他网站，请在这里输入访问码。",
    },
)


@dataclass(frozen=True)
class Target:
    """Where to go after signing in, and where the form is seen from.

    Attributes:
        path: relative to the page, with its query: ``?temperature=1``, ``docs``, or empty for the page itself.
        up: leads from the address that the form is shown at to the page: empty, or ``../`` once or more. Relative,
            because only the reader's browser knows below which path a proxy shows this server.
    """

    path: str = ""
    up: str = ""


def sign_in_page(
    headers: Mapping[str, str], target: Target, status: HTTPStatus, problem: Problem | None = None, wait: str = ""
) -> HTMLResponse:
    """The form that asks for the code; ``wait`` is how many seconds to wait for the next try."""
    texts = _texts(headers, target)
    fields = (
        f'<input type="hidden" name="next" value="{escape(target.path)}">\n'
        f'<label for="code">{texts.label}</label>\n'
        '<input id="code" name="code" type="password" required autofocus autocomplete="current-password" '
        'autocapitalize="none" spellcheck="false">'
    )
    return _page(
        status,
        {"Retry-After": wait} if wait else {},
        lang=texts.lang,
        title=texts.title,
        lead=texts.lead,
        problem=f'<p class="problem" role="alert">{texts.problems[problem].format(seconds=wait)}</p>'
        if problem
        else "",
        action=f"{target.up}login",
        fields=fields,
        button=texts.enter,
        other="",
    )


def sign_out_page(headers: Mapping[str, str], target: Target) -> HTMLResponse:
    """The form that asks whether to sign out: a link alone must not do it, because other sites can send one there."""
    texts = _texts(headers, target)
    return _page(
        HTTPStatus.OK,
        {},
        lang=texts.lang,
        title=texts.leave_title,
        lead=texts.leave_lead,
        problem="",
        action="logout",
        fields=f'<input type="hidden" name="next" value="{escape(target.path)}">',
        button=texts.leave,
        other=f'<button class="quiet" name="forget" value="1">{texts.forget}</button>',
    )


def _page(status: HTTPStatus, headers: dict[str, str], **parts: str) -> HTMLResponse:
    headers |= {"Cache-Control": "no-store", "Content-Security-Policy": CONTENT_SECURITY_POLICY}
    return HTMLResponse(_template().substitute(parts), status, headers)


@lru_cache(maxsize=1)
def _template() -> Template:
    return Template(Path(__file__).with_name("login.html").read_text(encoding="utf-8"))


def _texts(headers: Mapping[str, str], target: Target) -> _Texts:
    asked = parse_qs(target.path.partition("?")[2]).get("lang", [""])[0]
    return texts_in([asked, *accepted_languages(headers)], (_ZH, _EN))


def texts_in(wanted: Sequence[str], catalogues: Sequence[_InALanguage]) -> _InALanguage:
    """Of the catalogues the one in the first of these languages that there is; else the last one."""
    found = (texts for lang in wanted for texts in catalogues if lang.lower().startswith(texts.lang[:2]))
    return next(found, catalogues[-1])


def accepted_languages(headers: Mapping[str, str]) -> list[str]:
    """The languages of an ``Accept-Language`` header, the most wanted first."""
    wanted: list[tuple[float, str]] = []
    for item in headers.get("accept-language", "").split(","):
        language, _, quality = item.partition(";q=")
        try:
            wanted.append((float(quality or 1), language.strip()))
        except ValueError:
            continue
    return [language for _, language in sorted(wanted, key=lambda pair: -pair[0])]
