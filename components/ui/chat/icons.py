"""Buttons that show an icon alone, with a name for those who hear the page."""

from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

KEY = "icon_"

ICON_STYLE = f"""<style>
[class*=st-key-{KEY}] button [data-testid=stMarkdownContainer] {{
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)
}}
</style>"""
"""Streamlit has no name for a button apart from what stands on it; so it stands there, and is not seen."""


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
        key=f"{KEY}{icon}_{message}",
        icon=f":material/{icon}:",
        type=kind,
        help=name,
        disabled=disabled,
        on_click=on_click,
        args=args,
    )
