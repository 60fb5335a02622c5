"""The conversation on the page: bubbles, what stands below a reply, and what the model no longer sees."""

from contextlib import AbstractContextManager, nullcontext
from typing import cast

import streamlit as st

from components.chats.chat import Chat
from components.chats.records import finished_of, kind_of
from components.chats.replies import Written
from components.engine.interface import Engine, EngineInfo
from components.settings import get_settings
from components.store.rows import Message, Reply
from components.ui.chat.actions import Action, request_action
from components.ui.chat.icons import ICON_STYLE, draw_icon_button
from components.ui.chat.inside import draw_inside, draw_inside_button
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.reply_menu import can_be_resumed, draw_reply_menu
from components.ui.chat.streaming import draw_text, show_growing, show_waiting
from components.ui.texts import ErrorKind, Texts

_USER_AVATAR = ":material/person:"
_ASSISTANT_AVATAR = ":material/water:"  # Baichuan means a hundred rivers

_EDITED = "edited_message"
"""In the session: the id of the question that is being edited."""

FOUND = "found_message"
"""The key of the box around the message that was searched for."""

_STYLE = f"""<style>
.st-key-{FOUND} {{outline: 2px solid var(--st-primary-color); outline-offset: 0.4rem; border-radius: 0.5rem}}
.stChatMessage :is(td, th) {{white-space: pre-line}}
.stChatMessage .task-list-item > :is(ul, ol) {{padding-left: 1.6em}}
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


def draw_history(chat: Chat, engine: Engine, first_seen: Message | None, texts: Texts, *, follow: bool) -> None:
    """Draw what is shown of the conversation. To ``follow`` returns when its last reply has ended."""
    st.html(_STYLE + ICON_STYLE)
    if chat.earlier:
        st.button(
            texts.earlier.format(count=chat.earlier),
            key="earlier",
            icon=":material/expand_less:",
            type="tertiary",
            on_click=chat.show_earlier,
        )
    for message in chat.drawn:
        if chat.between and message.id == chat.shown[0].id:
            st.button(
                texts.between.format(count=chat.between),
                key="between",
                icon=":material/unfold_more:",
                type="tertiary",
                on_click=chat.show_between,
            )
        if first_seen is not None and message.id == first_seen.id:
            _draw_forgotten_line(texts)
        if message.role == "user":
            _draw_question(chat, message, texts)
        else:
            _draw_reply(chat, message, engine, texts, follow=follow)
    if first_seen is not None and chat.last is not None and first_seen.depth > chat.last.depth:
        _draw_forgotten_line(texts)  # the next question will be all that the model sees


def _draw_question(chat: Chat, message: Message, texts: Texts) -> None:
    with _marked(chat, message), st.chat_message("user", avatar=_USER_AVATAR):
        if st.session_state.get(_EDITED) == message.id:
            _draw_editor(message, texts)
            return
        with st.container(horizontal=True, gap="small", vertical_alignment="top"):
            st.text(message.text, width="stretch")  # as typed: no Markdown, all line breaks
            _draw_siblings(chat, message, texts)
            draw_icon_button("edit", texts.edit, message.id, _edit, (message.id,))


def _marked(chat: Chat, message: Message) -> AbstractContextManager[object]:
    """Around the message that was searched for."""
    return st.container(key=FOUND) if message.id == chat.found else nullcontext()


def _edit(message: int | None) -> None:
    st.session_state[_EDITED] = message


def _draw_editor(message: Message, texts: Texts) -> None:
    key = f"edited_{message.id}"
    max_chars = get_settings().max_question_chars
    st.text_area(texts.edit, message.text, key=key, max_chars=max_chars, label_visibility="collapsed")
    with st.container(horizontal=True, gap="small"):
        st.button(texts.send, key="send_edited", type="primary", on_click=_send_edited, args=(message.id, key))
        st.button(texts.cancel, key="cancel_edit", on_click=_edit, args=(None,))


def _send_edited(message: int, key: str) -> None:
    _edit(None)
    if text := st.session_state[key].strip():
        request_action(Action("edit", text, message))


def _draw_siblings(chat: Chat, message: Message, texts: Texts) -> None:
    """Arrows to the other wordings of a question, or the other tries of a reply."""
    siblings = chat.siblings.get(message.id, ())
    if len(siblings) < 2:
        return
    place = siblings.index(message.id)
    for step, icon, label in ((-1, "chevron_left", texts.previous), (1, "chevron_right", texts.next)):
        if step == 1:
            st.caption(f"{place + 1}/{len(siblings)}", width="content")
        other = place + step
        select = (chat, siblings[other % len(siblings)], texts)
        outside = not 0 <= other < len(siblings)
        draw_icon_button(icon, label, message.id, _select, select, disabled=outside)


def _select(chat: Chat, message: int, texts: Texts) -> None:
    with told_if_unkept(texts):
        chat.select(message)


def _draw_reply(chat: Chat, message: Message, engine: Engine, texts: Texts, *, follow: bool) -> None:
    with _marked(chat, message), st.chat_message("assistant", avatar=_ASSISTANT_AVATAR):
        if (written := chat.written(message)) is not None and not follow:
            draw_text(written.snapshot().text)
        elif written is not None:
            _draw_growing_reply(chat, message, written, engine, texts)
        else:
            message = chat.now(message)
            with st.container():
                draw_text(message.text)
            with st.container():
                _draw_below(chat, message, engine, texts)


def _draw_growing_reply(chat: Chat, message: Message, written: Written, engine: Engine, texts: Texts) -> None:
    """Show the reply until it ends. When Streamlit ends the script run meanwhile, the next one goes on here.

    A regenerated reply stands where the old one stood. Streamlit keeps what a container holds when a container takes
    its place, so elements are put there first: the waiting text, and nothing below it.
    """
    if written.snapshot().text:
        body, below = st.container(), st.empty()
    else:
        slot, below = st.empty(), st.empty()
        show_waiting(written, slot, texts)
        body = slot.container()
    show_growing(written, body)
    with below.container():
        _draw_below(chat, chat.now(message), engine, texts)


def _draw_below(chat: Chat, message: Message, engine: Engine, texts: Texts) -> None:
    reply = message.reply
    if reply is None:
        return  # imported: nobody knows how it was written
    if reply.error_kind:
        _draw_error(reply.error_kind, reply.error, texts)
    elif summary := _summary(message.text, reply, engine.info, texts):
        st.caption(summary)
    if (refusal := chat.refusal(message)) is not None:
        _draw_error(kind_of(refusal), str(refusal), texts)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        _draw_siblings(chat, message, texts)
        if chat.last is not None and message.id == chat.last.id:
            _draw_buttons(message, reply, texts)
        if message.text and reply.end:
            draw_inside_button(message, texts)
        draw_reply_menu(chat, message, reply, engine, texts)
    draw_inside(chat, message, reply, engine, texts)


def _draw_error(kind: str, error: str, texts: Texts) -> None:
    st.warning(texts.errors[cast("ErrorKind", kind)], icon=":material/error:")
    st.caption(error)


def _draw_buttons(message: Message, reply: Reply, texts: Texts) -> None:
    st.button(
        texts.retry if reply.error_kind else texts.regenerate,
        key="regenerate",
        icon=":material/refresh:",
        type="tertiary",
        on_click=request_action,
        args=(Action("regenerate", message=message.id),),
    )
    penalty = reply.record.get("suggested_penalty")
    if penalty is not None:
        st.button(
            texts.break_loop.format(penalty=penalty),
            key="break_loop",
            icon=":material/all_inclusive:",
            type="tertiary",
            on_click=_break_loop,
            args=(message.id, penalty),
        )
    if can_be_resumed(message):
        st.button(
            texts.resume,
            key="resume",
            icon=":material/more_horiz:",
            type="tertiary",
            on_click=request_action,
            args=(Action("resume", message=message.id),),
        )


def _break_loop(message: int, penalty: float) -> None:
    st.session_state["repetition_penalty"] = penalty
    request_action(Action("regenerate", message=message))


def _draw_forgotten_line(texts: Texts) -> None:
    with st.container(key="forgotten", gap="xxsmall"):
        st.divider()
        st.caption(texts.forgotten_above, text_alignment="center")


def _summary(text: str, reply: Reply, info: EngineInfo, texts: Texts) -> str:
    """How the reply ended and how fast it was written, in a line."""
    parts = []
    finished = finished_of(reply)
    used = finished.prompt_tokens + finished.completion_tokens if finished else 0
    end = "full" if reply.end == "length" and used >= info.context_length else reply.end
    if end in texts.ends:
        parts.append(texts.ends[end])
    if end == "stop" and not text:
        parts.append(texts.empty)
    if finished:
        about = "≈ " if finished.approximate else ""
        if finished.tokens_per_second is not None:
            parts.append(about + texts.speed.format(speed=finished.tokens_per_second))
        if finished.time_to_first_token is not None:
            parts.append(texts.first_token.format(seconds=finished.time_to_first_token))
        parts.append(about + texts.tokens.format(tokens=finished.completion_tokens))
        parts.append(about + texts.context.format(used=used, length=info.context_length))
    return " · ".join(parts)
