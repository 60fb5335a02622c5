"""How fast replies are written, as tables: by how many readers, on a lesser CPU, and beside other programs."""

from collections.abc import Sequence
from statistics import median

from bench.figures import paired_ratio
from bench.history import LaterTurn
from bench.llama_cpp import ALONE
from bench.machine import AVX2
from bench.page import distinct, plot, table
from bench.results import Results
from bench.targets import PLAIN
from bench.throughput import Crowd, speed_ratio, summarize

NEW_PROMPT = "A first turn with a long text that nobody has asked about before: all of it is read until the first text."


def many_readers(results: Results) -> str:
    """All targets side by side, by the number of readers."""
    if not results.crowds:
        return ""
    return "\n".join(
        [
            "## Many readers at once",
            "",
            f"Each asks a question of their own at the same moment and gets up to {results.crowds[0].max_new_tokens} "
            "tokens. Tokens/s each counts from asking to the end, waiting included; 95 % of the readers see their "
            "first text within the seconds in that column.",
            "",
            _crowd_table(results.crowds),
            "",
            plot("throughput"),
        ]
    )


def with_avx2(results: Results) -> str:
    """The same where the CPU does as if it had AVX2 only; where it has no more, a line that says so."""
    title = "## With AVX2 only"
    if not results.avx2:
        is_above = results.crowds and results.machine.vectors == AVX2
        return f"{title}\n\nThis CPU has no more than AVX2: see the table above." if is_above else ""
    llama_cpp = (
        "llama.cpp cannot be told so and uses AVX-512, so ratios to it are lower bounds."
        if results.machine.llama_cpp_has_avx512
        else "The llama.cpp that is installed is built for AVX2, whatever the CPU has, so nothing need be done for it."
    )
    return "\n".join(
        [
            title,
            "",
            "As above, on the same CPU, but PyTorch, oneDNN and MKL are told to use no more than AVX2, which is all "
            "that most laptops have. The memory's speed and the caches stay those of this machine, so the ratios say "
            f"more than the speeds. {llama_cpp} In float32 (`BAICHUAN_DTYPE=float32 BAICHUAN_QUANTIZE=none`) this "
            "application runs as it did on such a CPU before it tried which kernels are fast there. Plain generate "
            "serves one after the other, so eight would get no more in all than one does, and are not measured.",
            "",
            _crowd_table(results.avx2),
            *(["", NEW_PROMPT, "", _prompt_table(results.avx2_turns)] if results.avx2_turns else []),
        ]
    )


def beside_others(results: Results) -> str:
    """What other programs that want the cores leave to the engine, and what making room for them costs."""
    if not results.busy:
        return ""
    programs = results.busy[0].programs
    rows = []
    for readers in distinct(one.readers for one in results.busy):
        own = [one for one in results.busy if one.readers == readers]
        quiet, spinning, beside = ([getattr(one, kind) for one in own] for kind in ("quiet", "spinning", "beside"))
        rows.append(
            (
                readers,
                f"{median(quiet):.1f}",
                f"{median(beside):.1f}",
                f"{paired_ratio(beside, quiet):.2f}",
                f"{median(spinning):.1f}",
                f"{paired_ratio(quiet, spinning):.2f}",
            )
        )
    header = ["Readers", "Quiet", f"Beside {programs} programs", "× quiet", "Quiet, libgomp's spinning", "Quiet × that"]
    return "\n".join(
        [
            "## Beside other programs",
            "",
            "This application's engine, tokens/s of all readers: on a quiet machine, and beside as many busy programs "
            f"as there are cores ({programs}), where half of the quiet speed is a fair share. OpenMP's threads wait "
            "for each other in a loop for a while, on a core that others could use; for how long is set in "
            "`components/__init__.py`. libgomp's own default is many times as long, and what the shorter one costs on "
            "a quiet machine is the last column.",
            "",
            table(header, rows),
        ]
    )


def new_prompts(results: Results) -> str:
    """How long prompts take that nobody has read."""
    if not results.later_turns:
        return ""
    return f"## First text of a new prompt\n\n{NEW_PROMPT}\n\n{_prompt_table(results.later_turns)}"


def _prompt_table(turns: Sequence[LaterTurn]) -> str:
    new = [turn for turn in turns if not turn.is_known]
    rows = []
    for length, target in distinct((turn.history, turn.target) for turn in new):
        own, plain = (
            [turn for turn in new if (turn.history, turn.target) == (length, name)] for name in (target, PLAIN)
        )
        rows.append(
            (
                f"{median(turn.prompt_tokens for turn in own):.0f}",
                target,
                f"{median(turn.first for turn in own):.3f}",
                f"{median(turn.prompt_tokens / turn.first for turn in own):.0f}",
                f"{paired_ratio([turn.first for turn in plain], [turn.first for turn in own]):.1f}",
            )
        )
    return table(["Prompt, tokens", "Target", "First text, s", "Tokens/s read", "Times as fast as plain"], rows)


def _crowd_table(crowds: Sequence[Crowd]) -> str:
    targets = {crowd.target for crowd in crowds}
    peers = {peer: title for peer, title in {PLAIN: "× plain", ALONE: "× llama.cpp"}.items() if peer in targets}
    rows = []
    for users, target in distinct((crowd.users, crowd.target) for crowd in crowds):
        summary = summarize([crowd for crowd in crowds if (crowd.users, crowd.target) == (users, target)])
        ratios = (speed_ratio(crowds, target, peer, users) for peer in peers)
        rows.append(
            (
                users,
                target,
                f"{summary.tokens_per_second:.1f}",
                *("" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
                f"{summary.per_user:.1f}",
                f"{summary.first_median:.3f}",
                f"{summary.first_95:.3f}",
                f"{summary.cut_short} of {summary.replies}",
            )
        )
    header = ["Readers", "Target", "Tokens/s in all", *peers.values()]
    return table([*header, "Tokens/s each", "First text, s", "95 %, s", "Ended early"], rows)
