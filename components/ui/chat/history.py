"""The conversation on the page: bubbles, what stands below a reply, and what the model no longer sees."""

import streamlit as st

from components.engine.errors import EngineError, LimitError, PromptError, QueueFullError
from components.engine.interface import Engine, EngineInfo
from components.ui.chat.actions import Action, request_action
from components.ui.chat.conversation import Conversation, Exchange
from components.ui.chat.receipt import draw_receipt
from components.ui.chat.reply import ReplyTask
from components.ui.chat.streaming import draw_text, show_growing, show_waiting
from components.ui.texts import ErrorKind, Texts

_USER_AVATAR = ":material/person:"
_ASSISTANT_AVATAR = ":material/water:"  # Baichuan means a hundred rivers

_STYLE = """<style>
.stChatMessage :is(td, th) {white-space: pre-line}
.stChatMessage .task-list-item > :is(ul, ol) {padding-left: 1.6em}
</style>"""
"""A cell shows its line breaks, which Markdown for tables knows no other way to say; and a list below a box to tick is
set in, as any other."""


def draw_welcome(texts: Texts) -> None:
    """What an empty conversation shows: a few questions to try."""
    with st.container(gap="small", key="welcome"):
        st.title(texts.title, anchor=False)
        st.markdown(texts.tagline)
        for number, example in enumerate(texts.examples):
            st.button(
                example,
                key=f"example_{number}",
                on_click=request_action,
                args=(Action("ask", example),),
                width="stretch",
            )


def draw_history(conversation: Conversation, engine: Engine, forgotten: int, texts: Texts) -> None:
    """Draw all exchanges; returns when the last reply has ended."""
    st.html(_STYLE)
    last = len(conversation.exchanges) - 1
    for index, exchange in enumerate(conversation.exchanges):
        _draw_exchange(exchange, engine, texts, is_last=index == last)
        if index + 1 == forgotten:
            _draw_forgotten_line(texts)


def _draw_exchange(exchange: Exchange, engine: Engine, texts: Texts, is_last: bool) -> None:
    with st.chat_message("user", avatar=_USER_AVATAR):
        st.text(exchange.question)  # as typed: no Markdown, all line breaks
    with st.chat_message("assistant", avatar=_ASSISTANT_AVATAR):
        if exchange.reply.end is None:
            _draw_growing_reply(exchange.reply, engine, texts)
        else:
            with st.container():
                draw_text(exchange.reply.text)
            with st.container():
                _draw_below(exchange.reply, engine, texts, is_last)


def _draw_growing_reply(reply: ReplyTask, engine: Engine, texts: Texts) -> None:
    """Show the reply until it ends. When Streamlit ends the script run meanwhile, the next one goes on here.

    A regenerated reply stands where the old one stood. Streamlit keeps what a container holds when a container takes
    its place, so elements are put there first: the waiting text, and nothing below it.
    """
    if reply.snapshot().text:
        body, below = st.container(), st.empty()
    else:
        slot, below = st.empty(), st.empty()
        show_waiting(reply, slot, texts)
        body = slot.container()
    show_growing(reply, body)
    with below.container():
        _draw_below(reply, engine, texts, is_last=True)


def _draw_below(reply: ReplyTask, engine: Engine, texts: Texts, is_last: bool) -> None:
    if reply.error is not None:
        st.warning(texts.errors[_kind_of(reply.error)], icon=":material/error:")
        st.caption(str(reply.error))
    elif summary := _summary(reply, engine.info, texts):
        st.caption(summary)
    if is_last:
        _draw_buttons(reply, engine, texts)


def _draw_buttons(reply: ReplyTask, engine: Engine, texts: Texts) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button(
            texts.retry if reply.end == "failed" else texts.regenerate,
            key="regenerate",
            icon=":material/refresh:",
            type="tertiary",
            on_click=request_action,
            args=(Action("regenerate"),),
        )
        penalty = reply.finished.suggested_penalty if reply.finished else None
        if penalty is not None:
            st.button(
                texts.break_loop.format(penalty=penalty),
                key="break_loop",
                icon=":material/all_inclusive:",
                type="tertiary",
                on_click=_break_loop,
                args=(penalty,),
            )
        if reply.end in ("length", "time", "cancelled") and reply.text:
            st.button(
                texts.resume,
                key="resume",
                icon=":material/more_horiz:",
                type="tertiary",
                on_click=request_action,
                args=(Action("resume"),),
            )
        if reply.finished and reply.finished.receipt:
            draw_receipt(reply.finished.receipt, engine, texts)


def _break_loop(penalty: float) -> None:
    st.session_state["repetition_penalty"] = penalty
    request_action(Action("regenerate"))


def _draw_forgotten_line(texts: Texts) -> None:
    with st.container(key="forgotten", gap="xxsmall"):
        st.divider()
        st.caption(texts.forgotten_above, text_alignment="center")


def _summary(reply: ReplyTask, info: EngineInfo, texts: Texts) -> str:
    """How the reply ended and how fast it was written, in a line."""
    parts = []
    if reply.end == "cancelled":
        parts.append(texts.stopped)
    if reply.end == "length":
        parts.append(texts.cut)
    if reply.end == "time":
        parts.append(texts.timed_out)
    if reply.end == "loop":
        parts.append(texts.looped)
    if reply.end == "stop" and not reply.text:
        parts.append(texts.empty)
    if finished := reply.finished:
        about = "≈ " if finished.approximate else ""
        if finished.tokens_per_second is not None:
            parts.append(about + texts.speed.format(speed=finished.tokens_per_second))
        if finished.time_to_first_token is not None:
            parts.append(texts.first_token.format(seconds=finished.time_to_first_token))
        parts.append(about + texts.tokens.format(tokens=finished.completion_tokens))
        used = finished.prompt_tokens + finished.completion_tokens
        parts.append(about + texts.context.format(used=used, length=info.context_length))
    return " · ".join(parts)


def _kind_of(error: EngineError) -> ErrorKind:
    match error:
        case PromptError():
            return "prompt"
        case QueueFullError():
            return "queue"
        case LimitError():
            return "limit"
        case _:
            return "other"
