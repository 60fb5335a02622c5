"""Texts at random, each in a container of its own, as a reply would show them."""

import random

import streamlit as st

from components.markdown.document import complete_blocks
from tests.markdown.mixtures import PIECES

HOW_MANY = 120


def texts() -> list[str]:
    """The same ones each time."""
    choice = random.Random(2)
    pieces = [piece for piece in PIECES if piece != "&#32;"]  # at the start of a line, browsers show none
    return ["".join(choice.choices(pieces, k=choice.randint(5, 40))) for _ in range(HOW_MANY)]


def main() -> None:
    """Show them all."""
    for number, text in enumerate(texts()):
        with st.container(key=f"text{number}"):
            for block in filter(None, complete_blocks(text)):
                st.markdown(block)
    st.text("The end.")


if __name__ == "__main__":
    main()
