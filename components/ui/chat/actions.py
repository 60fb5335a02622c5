"""What the reader asks for with a button or the input.

A callback only requests an action. It is performed after the sidebar was drawn, so a reply uses what the sliders show
at that moment; and it is not lost when Streamlit ends that script run early for another one.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from components.chats.chat import Chat
from components.chats.controls import Controls
from components.engine.errors import EngineError
from components.engine.interface import Engine
from components.sampling.kept import KeptScores
from components.store.errors import FullError

logger = logging.getLogger(__name__)

QUESTION = "question"
"""The key of the chat input."""

LOOKED_INTO = "looked_into"
"""In the session: the id of the reply that one looks into."""

_KEY = "requested_action"


@dataclass(frozen=True)
class Action:
    """One thing to do to the conversation.

    Attributes:
        kind: what.
        question: what is asked.
        message: the id of the one that it is about.
        begin: what a branch begins with.
        changes: sampling parameters that are none of what the sidebar shows.
    """

    kind: Literal["ask", "edit", "regenerate", "resume", "branch"]
    question: str = ""
    message: int = 0
    begin: KeptScores | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)


def request_action(action: Action) -> None:
    """For callbacks: perform this in the script run that follows."""
    st.session_state[_KEY] = action


def request_question() -> None:
    """For the chat input: ask what was typed."""
    request_action(Action("ask", st.session_state[QUESTION]))


def perform_requested(engine: Engine, chat: Chat, controls: Controls) -> None:
    """Perform the action that was requested, once.

    Raises:
        FullError: the reader keeps as much as they may; what was typed stands in the chat input again.
        StoreError: what it needs cannot be read at present.
    """
    action: Action | None = st.session_state.pop(_KEY, None)
    if action is None:
        return
    try:
        _perform(action, engine, chat, controls)
    except FullError:
        if action.question:
            st.session_state[QUESTION] = action.question
        raise


def _perform(action: Action, engine: Engine, chat: Chat, controls: Controls) -> None:
    if action.kind == "ask":
        chat.ask(engine, action.question, controls)
        return
    message = next((one for one in chat.drawn if one.id == action.message), None)
    if message is None:
        return  # another tab changed the branch meanwhile
    match action.kind:
        case "edit":
            chat.edit(engine, message, action.question, controls)
        case "regenerate":
            chat.regenerate(engine, message, controls)
        case "resume":
            chat.resume(engine, message, controls)
        case "branch":
            assert action.begin is not None
            try:
                chat.branch(engine, message, action.begin, controls, action.changes)
            except EngineError as error:  # another model runs than when the view was drawn
                logger.warning("What the view of a reply's tokens asked for is left undone: %s", error)
                return
            st.session_state[LOOKED_INTO] = chat.last.id if chat.last else None  # where it went, as soon as it is there
