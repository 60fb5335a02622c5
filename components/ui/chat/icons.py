"""Buttons that show an icon alone, with a name for those who hear the page."""

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

KEY = "icon_"

"""How their keys begin. The name that stands on such a button is heard, and not seen (``components/ui/style.css``)."""


def icon_key(icon: str, message: int) -> str:
    """The key of the button with this icon for this message."""
    return f"{KEY}{icon}_{message}"


def draw_icon_button(
    icon: str,
    name: str,
    message: int,
    on_click: Callable[..., None],
    args: tuple[Any, ...],
    *,
    kind: Literal["primary", "tertiary"] = "tertiary",
    disabled: bool = False,
) -> None:
    """A button for one message with this icon of Material's; pointing at it shows its name, too."""
    st.button(
        name,
        key=icon_key(icon, message),
        icon=f":material/{icon}:",
        type=kind,
        help=name,
        disabled=disabled,
        on_click=on_click,
        args=args,
    )
