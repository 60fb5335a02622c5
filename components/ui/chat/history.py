"""The conversation on the page: bubbles, what stands below a reply, and what the model no longer sees."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import streamlit as st

from components.chats.chat import Chat
from components.chats.records import finished_of, kind_of
from components.chats.replies import Written
from components.engine.interface import Engine, EngineInfo
from components.settings import get_settings
from components.store.rows import Message, Reply
from components.ui.chat.actions import QUESTION, Action, request_action
from components.ui.chat.icons import draw_icon_button, icon_key
from components.ui.chat.inside import draw_inside, draw_inside_button
from components.ui.chat.notices import told_if_unkept
from components.ui.chat.opening import HIT
from components.ui.chat.reply_menu import can_be_resumed, draw_reply_menu
from components.ui.chat.streaming import draw_text, show_growing, show_waiting
from components.ui.focus import request_focus
from components.ui.texts import ErrorKind, Texts

_USER_AVATAR = ":material/person:"
_ASSISTANT_AVATAR = ":material/water:"  # Baichuan means a hundred rivers

_EDITOR = "edited"
"""The beginning of the key of the field in which a question is edited."""

_ARROWS = {-1: "chevron_left", 1: "chevron_right"}

_EDITED = "edited_message"
"""In the session: the id of the question that is being edited."""


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
    if chat.earlier:
        _draw_more(texts.earlier.format(count=chat.earlier), "earlier", ":material/expand_less:", chat.show_earlier)
    for message in chat.drawn:
        if chat.between and message.id == chat.shown[0].id:
            _draw_more(texts.between.format(count=chat.between), "between", ":material/unfold_more:", chat.show_between)
        if first_seen is not None and message.id == first_seen.id:
            _draw_forgotten_line(texts)
        if message.role == "user":
            _draw_question(chat, message, texts)
        else:
            _draw_reply(chat, message, engine, texts, follow=follow)
    if first_seen is not None and chat.last is not None and first_seen.depth > chat.last.depth:
        _draw_forgotten_line(texts)  # the next question will be all that the model sees


def _draw_more(label: str, key: str, icon: str, show: Callable[[], None]) -> None:
    st.button(label, key=key, icon=icon, type="tertiary", on_click=show)


def _draw_question(chat: Chat, message: Message, texts: Texts) -> None:
    with _marked(chat, message), st.chat_message("user", avatar=_USER_AVATAR):
        if st.session_state.get(_EDITED) == message.id:
            _draw_editor(message, texts)
            return
        with st.container(horizontal=True, wrap=False, gap="small", vertical_alignment="top"):
            st.text(message.text, width="stretch")  # as typed: no Markdown, all line breaks
            draw_icon_button("edit", texts.edit, message.id, _edit, (message.id,))
        _draw_siblings(chat, message, texts)


def _marked(chat: Chat, message: Message) -> AbstractContextManager[object]:
    """Around the message that was searched for."""
    return st.container(key=HIT) if message.id == chat.found else nullcontext()


def _edit(message: int) -> None:
    st.session_state[_EDITED] = message
    request_focus(f"{_EDITOR}_{message}")


def _end_editing(message: int) -> None:
    st.session_state[_EDITED] = None
    request_focus(icon_key("edit", message))


def _draw_editor(message: Message, texts: Texts) -> None:
    """A form, in which Ctrl+Enter sends; Escape presses what is keyed as what cancels (``components.ui.focus``)."""
    key = f"{_EDITOR}_{message.id}"
    max_chars = get_settings().max_question_chars
    with st.form(key=f"form_{message.id}", border=False):
        st.text_area(texts.edit, message.text, key=key, max_chars=max_chars, label_visibility="collapsed")
        with st.container(horizontal=True, gap="small"):
            st.form_submit_button(
                texts.send, key="send_edited", type="primary", on_click=_send_edited, args=(message.id, key)
            )
            st.form_submit_button(texts.cancel, key="cancel_edit", on_click=_end_editing, args=(message.id,))


def _send_edited(message: int, key: str) -> None:
    _end_editing(message)
    if text := st.session_state[key].strip():
        request_action(Action("edit", text, message))
        request_focus(QUESTION)


def _draw_siblings(chat: Chat, message: Message, texts: Texts) -> None:
    """Arrows to the other wordings of a question, or the other tries of a reply."""
    siblings = chat.siblings.get(message.id, ())
    if len(siblings) < 2:
        return
    place = siblings.index(message.id)
    row = st.container(
        key=f"siblings_{message.id}",
        horizontal=True,
        wrap=False,
        width="content",
        gap="xxsmall",
        vertical_alignment="center",
    )
    with row:
        for step, label in ((-1, texts.previous), (1, texts.next)):
            if step == 1:
                st.caption(f"{place + 1}/{len(siblings)}", width="content")
            outside = not 0 <= place + step < len(siblings)
            select = (chat, siblings, place, step, texts)
            draw_icon_button(_ARROWS[step], label, message.id, _select, select, disabled=outside)


def _select(chat: Chat, siblings: Sequence[int], place: int, step: int, texts: Texts) -> None:
    """Show the sibling ``step`` away. Its own arrow there has the focus next; at the end, the one that leads back."""
    other = place + step
    leads_on = 0 <= other + step < len(siblings)
    with told_if_unkept(texts):
        chat.select(siblings[other])
        request_focus(icon_key(_ARROWS[step if leads_on else -step], siblings[other]))


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
