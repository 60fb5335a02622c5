"""Puts the token view on the page: through files of this server, since the page's policy runs no other scripts."""

from pathlib import Path

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest
from streamlit.components.v2.types import ComponentRenderer

from components.paths import TOKEN_VIEW

FOLDER = Path(__file__).with_name("token_view")


def token_view() -> ComponentRenderer:
    """What draws the component; called with ``data``, ``key`` and callbacks.

    Streamlit serves the files of components that an installed package declares in its pyproject.toml. This application
    is none, so it says the same itself. Every test and every start has a manager of its own.
    """
    project, name = TOKEN_VIEW.split(".")
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(TOKEN_VIEW) is None:
        config = ComponentConfig(name, FOLDER.name)
        manager.register_from_manifest(ComponentManifest(project, "1", [config]), FOLDER.parent)
    return st.components.v2.component(TOKEN_VIEW, js="view.js", css="style.css")
