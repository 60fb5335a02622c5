"""What the plain pages say, in English and Chinese."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from components.access.login_page import accepted_languages

Problem = Literal["not_found", "store_away", "forged", "too_large", "no_file", "no_browser", "wrong_file"]


@dataclass(frozen=True)
class PageTexts:
    """One language. ``problems`` are a heading and a sentence each."""

    lang: str
    site: str
    to_chat: str
    import_title: str
    import_lead: str
    import_label: str
    import_button: str
    user: str
    assistant: str
    shared_on: str
    expires_on: str
    copy: str
    ends: Mapping[str, str]
    problems: Mapping[Problem, tuple[str, str]]


_EN = PageTexts(
    lang="en",
    site="Baichuan 2 chat",
    to_chat="To the chat",
    import_title="Bring in conversations",
    import_lead="A JSON file that was downloaded here, ChatGPT's conversations.json, or a training set as JSON or "
    "JSONL. At most {size} MB.",
    import_label="File",
    import_button="Bring in",
    user="Question",
    assistant="Answer",
    shared_on="Shared on {date}. Written with a language model, which may be wrong.",
    expires_on="This page can be read until {date}.",
    copy="Continue it as a copy",
    ends={
        "cancelled": "Stopped",
        "length": "Ended at the longest length of a reply",
        "time": "Ended at the longest time of a reply",
        "loop": "Stopped because it repeated itself",
        "cut": "Cut off",
        "failed": "Failed",
    },
    problems={
        "not_found": ("There is nothing here", "It may have been deleted or have expired, or the address is wrong."),
        "store_away": (
            "Conversations cannot be reached at present",
            "Nothing is lost. Try again in a moment.",
        ),
        "forged": ("Another site sent this form", "Nothing was changed. Do it here."),
        "too_large": ("The file is too large", "It may have at most {size} MB. Divide it into several files."),
        "no_file": ("There is no file", "Choose one, then bring it in."),
        "no_browser": (
            "This browser is not known yet",
            "Open the chat in it once, and allow its cookie: conversations belong to a browser.",
        ),
        "wrong_file": ("The file cannot be brought in", "Nothing was changed. What is wrong:"),
    },
)
_ZH = PageTexts(
    lang="zh-CN",
    site="百川 2 聊天",
    to_chat="回到聊天",
    import_title="导入对话",
    import_lead="可以是从这里下载的 JSON 文件、ChatGPT 的 conversations.json，或 JSON、JSONL 格式的训练数据，"
    "最大 {size} MB。",
    import_label="文件",
    import_button="导入",
    user="问题",
    assistant="回答",
    shared_on="分享于 {date}。内容由语言模型生成，可能有误。",
    expires_on="此页面在 {date} 之前可以查看。",
    copy="另存一份并继续对话",
    ends={
        "cancelled": "已停止",
        "length": "达到最长回答而中断",
        "time": "达到单次回答的最长时间而中断",
        "loop": "开始不断重复，已停止",
        "cut": "中途中断",
        "failed": "未能完成",
    },
    problems={
        "not_found": ("这里什么也没有", "内容可能已被删除或已过期，也可能是地址有误。"),
        "store_away": ("暂时无法读取对话", "内容没有丢失，请稍后再试。"),
        "forged": ("此表单来自其他网站", "没有任何改动，请在这里操作。"),
        "too_large": ("文件太大", "最大 {size} MB，请分成几个文件。"),
        "no_file": ("没有文件", "请先选择文件，再导入。"),
        "no_browser": ("还不认识这个浏览器", "请先用它打开一次聊天页面并允许 cookie：对话属于浏览器。"),
        "wrong_file": ("无法导入此文件", "没有任何改动。问题在于："),
    },
)


def texts_for(headers: Mapping[str, str]) -> PageTexts:
    """In the language that a browser asks for."""
    wanted = accepted_languages(headers.get("accept-language", ""))
    return next((texts for lang in wanted for texts in (_ZH, _EN) if lang.lower().startswith(texts.lang[:2])), _EN)
