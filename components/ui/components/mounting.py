"""Puts this page's components on it: through files of this server, since the page's policy runs no other scripts."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest
from streamlit.components.v2.types import ComponentRenderer

from components.paths import FOCUS, TOKEN_VIEW


def token_view() -> ComponentRenderer:
    """What draws a reply's tokens; called with ``data``, ``key`` and callbacks."""
    _register(TOKEN_VIEW)
    return st.components.v2.component(TOKEN_VIEW, js="view.js", css="style.css")


def focus_keeper() -> ComponentRenderer:
    """What keeps the keyboard's focus, and shows nothing; called with ``data`` and ``key``."""
    _register(FOCUS)
    return st.components.v2.component(FOCUS, js="keep.js")


def _register(component: str) -> None:
    """Have Streamlit serve the files of ``component``, which lie in the folder of its name.

    It does so by itself for installed packages that declare them in their pyproject.toml. This application is none, so
    it says the same itself. Every test and every start has a manager of its own.
    """
    project, name = component.split(".")
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(component) is None:
        manifest = ComponentManifest(project, "1", [ComponentConfig(name, name)])
        manager.register_from_manifest(manifest, Path(__file__).parent)
