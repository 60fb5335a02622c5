"""What the reader asked for with a button or the input.

A callback only notes it. It is done after the sidebar was drawn, so a reply uses what the sliders show at that moment;
and it is not lost when Streamlit ends that script run early for another one.
"""

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from components.engine.interface import Engine
from components.ui.chat.conversation import Controls, Conversation

_KEY = "wish"


@dataclass(frozen=True)
class Wish:
    """One thing to do to the conversation."""

    action: Literal["ask", "regenerate", "resume"]
    question: str = ""


def note(wish: Wish) -> None:
    """For callbacks: do this in the script run that follows."""
    st.session_state[_KEY] = wish


def note_question(key: str) -> None:
    """For the chat input with this widget key: ask what was typed."""
    note(Wish("ask", st.session_state[key]))


def fulfil(engine: Engine, conversation: Conversation, controls: Controls) -> None:
    """Do what was noted, once."""
    match st.session_state.pop(_KEY, None):
        case Wish("ask", question):
            conversation.ask(engine, question, controls)
        case Wish("regenerate"):
            conversation.regenerate(engine, controls)
        case Wish("resume"):
            conversation.resume(engine, controls)
