"""What the reader asks for with a button or the input.

A callback only requests an action. It is performed after the sidebar was drawn, so a reply uses what the sliders show
at that moment; and it is not lost when Streamlit ends that script run early for another one.
"""

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from components.engine.interface import Engine
from components.ui.chat.conversation import Controls, Conversation

_KEY = "requested_action"


@dataclass(frozen=True)
class Action:
    """One thing to do to the conversation."""

    kind: Literal["ask", "regenerate", "resume"]
    question: str = ""


def request_action(action: Action) -> None:
    """For callbacks: perform this in the script run that follows."""
    st.session_state[_KEY] = action


def request_question(key: str) -> None:
    """For the chat input with this widget key: ask what was typed."""
    request_action(Action("ask", st.session_state[key]))


def perform_requested(engine: Engine, conversation: Conversation, controls: Controls) -> None:
    """Perform the action that was requested, once."""
    match st.session_state.pop(_KEY, None):
        case Action("ask", question):
            conversation.ask(engine, question, controls)
        case Action("regenerate"):
            conversation.regenerate(engine, controls)
        case Action("resume"):
            conversation.resume(engine, controls)
