"""Stop strings and the loop guard."""

import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from components.sampling.stopping import LoopGuard, StopStrings, TextLoopGuard

TABLE = "| Name | Age | City |\n| --- | --- | --- |\n" + "".join(
    f"| Person {row} | {20 + row % 50} | {'Paris' if row % 2 else 'Rome'} |\n" for row in range(60)
)
CODE = "\n".join(f"    elif kind == {n}:\n        result.append(handlers[{n}](value))" for n in range(40))
SIMPLE_LIST = "\n".join(f"{n}. Item" for n in range(1, 120))
MULTIPLICATION = "\n".join(f"{a} × {b} = {a * b}" for a in range(1, 13) for b in range(1, 13))
EMPTY_ROWS = "| | | |\n" * 25
RULE = "-" * 300
ZEROS = "[" + ", ".join(["0"] * 64) + "]"


def pieces(text: str, seed: int) -> list[str]:
    """The text cut at random places."""
    dice = random.Random(seed)
    cuts = sorted(dice.sample(range(1, len(text)), min(len(text) - 1, 8)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@pytest.mark.parametrize("seed", range(20))
def test_a_stop_string_is_found_however_the_text_is_cut(seed: int) -> None:
    stops = StopStrings(["\n\nUser:", "###"])
    shown = ""
    for piece in pieces("A # sharp ## sign.\n\nUse it.\n\nUser: never shown", seed):
        text, found = stops.push(piece)
        shown += text
        if found:
            break

    assert found
    assert shown == "A # sharp ## sign.\n\nUse it."


def test_what_only_began_like_a_stop_string_is_shown_in_the_end() -> None:
    stops = StopStrings(["###"])

    assert stops.push("a ##") == ("a ", False)
    assert stops.finish() == "##"


def looped_at(tokens: list[int]) -> int | None:
    guard = LoopGuard()
    return next((place for place, token in enumerate(tokens) if guard.push(token)), None)


@pytest.mark.parametrize("period", [1, 2, 7, 40, 120, 250])
def test_a_circle_is_noticed_as_it_forms(period: int) -> None:
    dice = random.Random(period)
    beginning = [dice.randrange(1000) for _ in range(100)]
    circle = [dice.randrange(1000, 2000) for _ in range(period)]
    place = looped_at(beginning + circle * 1000)

    assert place is not None
    assert place < 100 + max(240 + period, 3 * period)


no_circles = pytest.mark.parametrize(
    "text",
    [TABLE, CODE, SIMPLE_LIST, MULTIPLICATION, EMPTY_ROWS, RULE, ZEROS],
    ids=["table", "code", "list", "multiplication", "empty rows", "rule", "zeros"],
)


@no_circles
def test_tables_code_and_lists_are_no_circle(text: str, demo_model: Path) -> None:
    assert looped_at(AutoTokenizer.from_pretrained(demo_model)(text)["input_ids"]) is None


@no_circles
def test_nor_are_they_where_only_their_text_is_known(text: str) -> None:
    guard = TextLoopGuard()

    assert not any(guard.push(piece) for piece in pieces(text, 1))


@pytest.mark.parametrize("text", ["水", "河流入海。", "The river flows to the sea. ", "a\n\n"])
def test_a_circle_in_a_text_is_noticed_at_the_same_place_however_it_is_cut(text: str) -> None:
    def length_at_end(size: int) -> int:
        guard = TextLoopGuard()
        whole = text * 1000
        ends = range(size, len(whole), size)
        return next(end for end in ends if guard.push(whole[end - size : end]))

    assert length_at_end(1) <= length_at_end(7) < length_at_end(1) + 7
    assert length_at_end(1) < 2000
