import string
from dataclasses import asdict

import pytest

from components.ui.chat.sidebar import SLIDERS
from components.ui.texts import EN, TEXTS, ZH, Texts


def leaves(texts: Texts) -> dict[str, str]:
    """Every single text, by its path."""
    found: dict[str, str] = {}
    for name, value in asdict(texts).items():
        match value:
            case str():
                found[name] = value
            case dict():
                found |= {f"{name}.{key}": text for key, text in value.items()}
            case _:
                found |= {f"{name}.{number}": text for number, text in enumerate(value)}
    return found


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_no_text_lacks_a_language() -> None:
    assert leaves(EN).keys() == leaves(ZH).keys()
    assert all(text.strip() for texts in TEXTS.values() for text in leaves(texts).values())


@pytest.mark.parametrize("path", leaves(EN))
def test_both_languages_are_filled_in_with_the_same(path: str) -> None:
    assert names(leaves(EN)[path]) == names(leaves(ZH)[path])


@pytest.mark.parametrize("texts", TEXTS.values(), ids=list(TEXTS))
def test_every_sampling_parameter_of_the_sidebar_has_a_name_and_help(texts: Texts) -> None:
    assert texts.labels.keys() == texts.help.keys() == {*SLIDERS, "seed"}
    assert all(texts.help.values())
