"""What the plain pages say, in English and Chinese."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from components.access.login_page import accepted_languages, texts_in

Problem = Literal["not_found", "store_away", "no_vote", "enough_votes"]


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
    sheet: str
    before_vote: str
    after_vote: str
    vote: str
    my_vote: str
    votes: str
    parameters: Mapping[str, str]
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
    sheet="Which reply is the best?",
    before_vote="The replies come from different settings. Which wrote what is shown after your vote.",
    after_vote="Thank you. The settings and the votes so far:",
    vote="This one is the best",
    my_vote="Your vote",
    votes="votes: {count}",
    parameters={
        "temperature": "Temperature",
        "top_p": "Top p",
        "top_k": "Top k",
        "min_p": "Min p",
        "repetition_penalty": "Repetition penalty",
    },
    problems={
        "not_found": ("There is nothing here", "It may have been deleted or have expired, or the address is wrong."),
        "store_away": (
            "Conversations cannot be reached at present",
            "Nothing is lost. Try again in a moment.",
        ),
        "no_vote": (
            "This vote cannot be taken",
            "Open the link again and vote there; your browser must allow cookies of this site.",
        ),
        "enough_votes": ("This vote cannot be taken", "These replies have as many votes as they can have."),
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
    sheet="哪个回答最好？",
    before_vote="这些回答用了不同的参数。投票之后才显示哪组参数写了哪个回答。",
    after_vote="谢谢。参数和目前的得票如下：",
    vote="这个最好",
    my_vote="您的一票",
    votes="得票 {count}",
    parameters={
        "temperature": "温度 temperature",
        "top_p": "核采样 top_p",
        "top_k": "候选数 top_k",
        "min_p": "相对下限 min_p",
        "repetition_penalty": "重复惩罚 repetition_penalty",
    },
    problems={
        "not_found": ("这里什么也没有", "内容可能已被删除或已过期，也可能是地址有误。"),
        "store_away": ("暂时无法读取对话", "内容没有丢失，请稍后再试。"),
        "no_vote": ("无法记录这一票", "请重新打开链接再投票；浏览器需要允许本站的 Cookie。"),
        "enough_votes": ("无法记录这一票", "这些回答的票数已达上限。"),
    },
)


TEXTS: Mapping[Literal["zh", "en"], PageTexts] = {"zh": _ZH, "en": _EN}


def texts_for(headers: Mapping[str, str]) -> PageTexts:
    """In the language that a browser asks for."""
    return texts_in(accepted_languages(headers), (_ZH, _EN))


def date_of(when: float) -> str:
    """A moment, for people everywhere."""
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M} UTC"
