"""What all pages of measurements are made of."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from bench.goals import Goal
from bench.plots import PLOTS
from bench.results import Results

GIB = 2**30

Value = TypeVar("Value")


def whole_page(title: str, head: str, goals: Iterable[Goal], parts: Iterable[str]) -> str:
    """A page of Markdown; parts that are empty are left out."""
    rows = [(goal.what, goal.wanted, goal.reached, "yes" if goal.met else "**no**") for goal in goals]
    reached = f"## Goals\n\n{table(['This application', 'Goal', 'Reached', 'Met'], rows)}" if rows else ""
    return "\n\n".join([f"# {title}", head, *filter(None, [reached, *parts])]) + "\n"


def head_of(results: Results) -> str:
    """How, where and with what it was measured."""
    return "\n".join(
        [
            "Made by `make bench`. Targets take turns in each round, so a machine that slows down slows all of them; a",
            "ratio is the median of the rounds' ratios, every other figure a median unless it says otherwise.",
            "",
            facts_of(results),
        ]
    )


def facts_of(results: Results) -> str:
    """Where and with what it was measured."""
    machine, setup = results.machine, results.setup
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    dtypes = "".join(f"; {target} in {dtype}" for target, dtype in setup.dtypes.items())
    minutes = sum(setup.seconds.values()) / 60
    seconds = ", ".join(f"{part} {taken:.0f}" for part, taken in setup.seconds.items())
    return "\n".join(
        [
            f"- Machine: {machine.cpu} ({machine.vectors}), {machine.cores} cores, "
            f"{machine.memory / GIB:.0f} GiB memory, {machine.system}; "
            f"{machine.load:.1f} busy processes before the run",
            f"- Versions: {versions}",
            f"- Date: {machine.date}",
            f"- Model: {setup.model}{dtypes}",
            f"- Sampling, the same for all: {setup.sampling}; rounds: {setup.rounds}",
            f"- Took {minutes:.0f} minutes; in seconds: {seconds}",
        ]
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    rule = "|".join(["---", *("---:" for _ in header[1:])])
    lines = [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join([f"| {' | '.join(header)} |", f"|{rule}|", *(f"| {line} |" for line in lines)])


def plot(name: str) -> str:
    """One of ``PLOTS``, which is expected beside the page."""
    return f"![{PLOTS[name]}]({name}.png)"


def distinct(values: Iterable[Value]) -> list[Value]:
    """Each once, in the order in which they come."""
    return list(dict.fromkeys(values))
