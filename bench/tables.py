"""What replies take, as a page of Markdown."""

from statistics import median

from bench import estimates, neighbours
from bench.apps.replies import TOKENS_PER_SECOND
from bench.figures import paired_ratio
from bench.goals import engine_goals
from bench.history import LATER_REPLY_TOKENS
from bench.memory import READERS
from bench.page import GIB, distinct, head_of, plot, table, whole_page
from bench.results import Results
from bench.speed_tables import beside_others, many_readers, new_prompts, with_avx2
from bench.startup import IMPORTS
from bench.targets import PLAIN


def engine_page(results: Results) -> str:
    """What replies take, and on what that was measured. Plots are expected beside the page."""
    parts = (
        many_readers,
        with_avx2,
        beside_others,
        new_prompts,
        _later_turns,
        _neighbours,
        _waits,
        _starts,
        _peaks,
        _traffic,
    )
    head = (
        f"{head_of(results)}\n\nWhat keeping conversations takes is measured apart: [conversations](conversations.md)."
    )
    return whole_page("Measurements", head, engine_goals(results), [part(results) for part in parts])


def _later_turns(results: Results) -> str:
    turns = [turn for turn in results.later_turns if turn.is_known]
    if not turns:
        return ""
    rows = []
    for history in distinct(turn.history for turn in turns):
        for target in distinct(turn.target for turn in turns):
            firsts, fresh, plain = (
                [turn.first for turn in turns if (turn.history, turn.target) == key]
                for key in ((history, target), (0, target), (history, PLAIN))
            )
            prompt = [turn.prompt_tokens for turn in turns if (turn.history, turn.target) == (history, target)]
            to_fresh = f"{paired_ratio(firsts, fresh):.2f}" if fresh else ""
            to_plain = f"{paired_ratio(plain, firsts):.1f}"
            rows.append((history, target, f"{median(prompt):.0f}", f"{median(firsts):.3f}", to_fresh, to_plain))
    header = [
        "History, tokens",
        "Target",
        "Prompt, tokens",
        "First text, s",
        "× fresh prompt",
        "Times as fast as plain",
    ]
    return "\n".join(
        [
            "## First text of a later turn",
            "",
            "The history is the turn before, which the target has just written; 0 is a fresh short prompt. "
            f"Replies have up to {LATER_REPLY_TOKENS} tokens.",
            "",
            table(header, rows),
            "",
            plot("history"),
        ]
    )


def _waits(results: Results) -> str:
    if not results.waits:
        return ""
    rows = []
    for kind in distinct(wait.kind for wait in results.waits):
        summary = estimates.summarize([wait for wait in results.waits if wait.kind == kind])
        rows.append(
            (
                kind,
                summary.waits,
                f"{summary.became_median:.1f}",
                f"{summary.absolute_error:.1f}",
                f"{100 * summary.relative_error:.0f} %",
                f"{summary.bias:+.1f}",
            )
        )
    header = ["Replies of", "Waits", "Waited, s", "Error, s", "Error, share", "Bias, s"]
    return "\n".join(
        [
            "## What those who wait are told",
            "",
            f"More readers than places ({results.setup.places}) ask at once, of an engine that has served a "
            "single reader last. What each is told at first is compared with what it became. The bias is a mean, below "
            "0 when they waited longer than told. Known lengths: every reply has a limit that it reaches; unknown: "
            "replies end by themselves, short ones and long ones in turn.",
            "",
            table(header, rows),
        ]
    )


def _neighbours(results: Results) -> str:
    if not results.neighbours:
        return ""
    rows = []
    for what in distinct(pair.what for pair in results.neighbours):
        summary = neighbours.summarize([pair for pair in results.neighbours if pair.what == what])
        rows.append((what, f"{summary.before:.3g}", f"{summary.after:.3g}", f"{summary.ratio:.2f}"))
    return "\n".join(
        [
            "## What readers cost each other",
            "",
            "The engine alone, each figure twice in a round: first without, then with what the row names.",
            "",
            table(["Figure", "Without", "With", "Ratio"], rows),
        ]
    )


def _starts(results: Results) -> str:
    if not results.starts:
        return ""
    imports = [start.seconds for start in results.starts if start.what == IMPORTS]
    rows = []
    for what in distinct(start.what for start in results.starts):
        seconds = [start.seconds for start in results.starts if start.what == what]
        span = f"{min(seconds):.2f} to {max(seconds):.2f}"
        rows.append((f"`{what}`", f"{median(seconds):.2f}", span, f"{paired_ratio(seconds, imports):.2f}"))
    return "\n".join(
        [
            "## Start",
            "",
            f"Fresh processes, {len(imports)} of each in turn, files in the system's cache. With llama.cpp the server "
            "needs neither torch nor transformers.",
            "",
            table(["Process", "Seconds", "Least to most", "× imports alone"], rows),
        ]
    )


def _peaks(results: Results) -> str:
    if not results.peaks:
        return ""
    rows = [(peak.what, f"{peak.bytes / GIB:.2f}") for peak in results.peaks]
    return "\n".join(
        [
            "## Memory",
            "",
            f"The most that each process ever held (VmHWM), after {READERS} readers at once, one of them with a prompt "
            "of about 1,300 tokens. This application is the whole server, with llama.cpp all of its processes "
            "together, and there the model's file, which is mapped, counts as far as it was read.",
            "",
            table(["Process", "GiB"], rows),
        ]
    )


def _traffic(results: Results) -> str:
    if not results.traffic:
        return ""
    rows = [
        (
            one.page,
            one.kind,
            one.tokens,
            f"{one.reply:,}",
            f"{one.payload / one.reply:.1f}",
            f"{one.wire / one.reply:.1f}",
        )
        for one in sorted(results.traffic, key=lambda one: (one.page, one.kind, one.tokens))
    ]
    header = ["Page", "Reply", "Tokens", "Bytes of reply", "Payload per byte", "Wire per byte"]
    return "\n".join(
        [
            "## WebSocket traffic",
            "",
            f"What a page in Chromium receives for one reply at {TOKENS_PER_SECOND} tokens/s, per byte of the reply: "
            "what the frames hold, and what TCP carries with the compression that `.streamlit/config.toml` switches on "
            "(Streamlit's default is off; then the wire carries the payload). Code is one block until its end. "
            "`st.write_stream` is the page of Streamlit's tutorial.",
            "",
            table(header, rows),
            "",
            plot("websocket"),
        ]
    )
