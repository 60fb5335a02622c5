"""The results as pictures, for whoever would rather look than read."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from bench.results import Results
from bench.websocket import TUTORIAL_PAGE

PLOTS = {
    "throughput": "Tokens per second by readers at once",
    "history": "Seconds to the first text by tokens of history",
    "websocket": "WebSocket bytes per byte of reply by the reply's length",
}
"""Names of the files, and their titles."""


def draw(results: Results, folder: Path) -> None:
    """Write a PNG for each part that was measured."""
    drawings: dict[str, tuple[Sequence[object], Callable[[Results, Axes], None]]] = {
        "throughput": (results.crowds, _throughput),
        "history": (results.later_turns, _history),
        "websocket": (results.traffic, _websocket),
    }
    for name, (measured, fill) in drawings.items():
        if not measured:
            continue
        figure = Figure(figsize=(8, 4.8), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(PLOTS[name], loc="left", fontweight="bold")
        fill(results, axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.3)
        figure.legend(loc="outside lower center", ncols=2 if name == "websocket" else 3, frameon=False)
        figure.savefig(folder / f"{name}.png")


def _throughput(results: Results, axes: Axes) -> None:
    for target in dict.fromkeys(crowd.target for crowd in results.crowds):
        own = [crowd for crowd in results.crowds if crowd.target == target]
        users = sorted({crowd.users for crowd in own})
        speeds = [median(crowd.tokens_per_second for crowd in own if crowd.users == count) for count in users]
        axes.plot(users, speeds, marker="o", label=target)
        _label(axes, users, speeds, "{:.0f}")
    _mark(axes, sorted({crowd.users for crowd in results.crowds}))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("readers at once")
    axes.set_ylabel("tokens/s of all readers together")


def _history(results: Results, axes: Axes) -> None:
    for target in dict.fromkeys(turn.target for turn in results.later_turns):
        own = [turn for turn in results.later_turns if turn.target == target and turn.is_known]
        lengths = sorted({turn.history for turn in own})
        firsts = [median(turn.first for turn in own if turn.history == length) for length in lengths]
        axes.plot(lengths, firsts, marker="o", label=target)
        _label(axes, lengths, firsts, "{:.2f}")
    _mark(axes, sorted({turn.history for turn in results.later_turns}))
    _scale(axes)
    axes.set_xlabel("tokens of history that the server has seen (0: a fresh short prompt)")
    axes.set_ylabel("seconds to the first text (log scale)")


def _websocket(results: Results, axes: Axes) -> None:
    for page, kind in dict.fromkeys((one.page, one.kind) for one in results.traffic):
        own = sorted(
            (one for one in results.traffic if (one.page, one.kind) == (page, kind)), key=lambda one: one.tokens
        )
        lengths = [one.tokens for one in own]
        colour = "tab:red" if page == TUTORIAL_PAGE else "tab:blue" if kind == "prose" else "tab:cyan"
        wire, payload = ([getattr(one, what) / one.reply for one in own] for what in ("wire", "payload"))
        axes.plot(lengths, wire, marker="o", color=colour, label=f"{page}, {kind}, on the wire")
        axes.plot(lengths, payload, "--", marker=".", color=colour, label=f"{page}, {kind}, before compression")
        _label(axes, lengths, wire, "{:.1f}", below=kind == "code")
    _mark(axes, sorted({one.tokens for one in results.traffic}))
    _scale(axes)
    axes.set_xlabel("length of the reply in tokens")
    axes.set_ylabel("bytes received per byte of reply (log scale)")


def _scale(axes: Axes) -> None:
    """Logarithmic, with plain numbers at its ticks."""
    axes.set_yscale("log")
    axes.margins(y=0.12)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _label(axes: Axes, places: Sequence[float], values: Sequence[float], pattern: str, below: bool = False) -> None:
    shift = (0, -14 if below else 6)
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            pattern.format(value), (place, value), xytext=shift, textcoords="offset points", ha="center", fontsize=8
        )


def _mark(axes: Axes, places: Sequence[float]) -> None:
    """Ticks only where something was measured."""
    axes.set_xticks(places, [f"{place:,}" for place in places])
