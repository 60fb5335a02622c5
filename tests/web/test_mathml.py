"""Formulas that no model means: none ends the process or takes for ever."""

import subprocess
import sys

import pytest

from components.web.mathml import formula_block

NESTING = [r"\sqrt ", r"\hat", r"\left(", r"\not", r"\bm", r"\dot", r"\bar ", r"\vec ", r"\frac ", r"\frac1", r"\sqrt[",
           r"\begin{matrix}", r"\boxed ", r"\color{red}", r"^\bm", r"_\bm", r"\sum_", r"\left.", r"\left|", "{", "(",
           "[", r"\{", r"\langle ", "x+(", r"\lfloor", "(^2", r"\log("]  # fmt: skip
DRAWS = """
import sys, threading
from components.web.mathml import formula_block
threading.stack_size(2 << 20)  # a quarter of what Linux gives a thread
def draw():
    for piece in sys.argv[1:]:
        for length in (95, 99, 2000, 4000, 60_000):
            formula_block((piece * length)[:length] + " x")
            formula_block(piece * (length // len(piece)) + " x")
thread = threading.Thread(target=draw)
thread.start()
thread.join()
print("drawn")
"""


def test_no_formula_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", DRAWS, *NESTING], capture_output=True, text=True, timeout=120)
    assert done.stdout == "drawn\n", done.stderr


@pytest.mark.parametrize(
    "tex",
    [r"\sqrt " * 101 + "x", r"\hat" * 101 + " x", "(" * 11, "x" * 4001, r"\hat{\hat" * 60 + " x" + "}" * 60],
    ids=["roots", "hats", "parentheses", "letters", "braces"],
)
def test_what_is_too_long_or_too_deep_stays_code(tex: str) -> None:
    assert "<math" not in formula_block(tex)


@pytest.mark.parametrize(
    "tex",
    [r"\sqrt " * 99 + "x", "+".join(["[0,1)"] * 300), "(" * 10 + "x" + ")" * 10],
    ids=["roots", "intervals", "parentheses"],
)
def test_what_is_neither_is_drawn(tex: str) -> None:
    assert "<math" in formula_block(tex)
