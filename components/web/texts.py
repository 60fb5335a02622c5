"""What the plain pages say, in English and Chinese."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from components.access.login_page import accepted_languages, texts_in

Problem = Literal["not_found", "store_away"]


@dataclass(frozen=True)
class PageTexts:
    """One language. ``problems`` are a heading and a sentence each."""

    lang: str
    site: str
    to_chat: str
    user: str
    assistant: str
    shared_on: str
    expires_on: str
    copy: str
    to_index: str
    nothing_shared: str
    ends: Mapping[str, str]
    problems: Mapping[Problem, tuple[str, str]]


_EN = PageTexts(
    lang="en",
    site="Baichuan 2 chat",
    to_chat="To the chat",
    user="Question",
    assistant="Answer",
    shared_on="Shared on {date}. Written with a language model, which may be wrong.",
    expires_on=" This page can be read until {date}.",
    copy="Continue it as a copy",
    to_index="All conversations",
    nothing_shared="Nothing is shared at present.",
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
    },
)
_ZH = PageTexts(
    lang="zh-CN",
    site="百川 2 聊天",
    to_chat="回到聊天",
    user="问题",
    assistant="回答",
    shared_on="分享于 {date}。内容由语言模型生成，可能有误。",
    expires_on="此页面在 {date} 之前可以查看。",
    copy="另存一份并继续对话",
    to_index="全部对话",
    nothing_shared="目前没有分享任何对话。",
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
    },
)


TEXTS: Mapping[Literal["zh", "en"], PageTexts] = {"zh": _ZH, "en": _EN}


def texts_for(headers: Mapping[str, str]) -> PageTexts:
    """In the language that a browser asks for."""
    return texts_in(accepted_languages(headers), (_ZH, _EN))
