"""A field for a file to bring in, in the page's language."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from components.access.uploads import largest_mb
from components.settings import get_settings
from components.ui.texts import Texts

_STYLE = """<style>
[data-testid=stFileUploaderDropzoneInstructions] {{display: none}}
[data-testid=stFileUploaderDropzone] button * {{display: none}}
[data-testid=stFileUploaderDropzone] button::after {{content: "{choose}"}}
</style>"""
"""Streamlit's own words in the field for a file are English."""


def draw_file_field(
    label: str, texts: Texts, *, key: str, on_change: Callable[..., None], args: tuple[Any, ...]
) -> None:
    """A field whose file is in the session, under ``key``, when ``on_change`` is called."""
    st.html(_STYLE.format(choose=texts.mine.choose))
    st.file_uploader(
        label,
        key=key,
        max_upload_size=largest_mb(get_settings().max_import_bytes),
        on_change=on_change,
        args=args,
    )
