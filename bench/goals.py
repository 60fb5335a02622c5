"""What the application sets out to reach, and whether this run did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench import busy, clicks, conversations, looking, storing
from bench.figures import paired_ratio
from bench.grid import GRID
from bench.history import LaterTurn
from bench.kept_scores import step_with_scores
from bench.llama_cpp import ALONE, BEHIND
from bench.loading import IN_FLOAT32
from bench.neighbours import seeds, summarize
from bench.results import Results
from bench.startup import CLASSES, IMPORTS, SERVER
from bench.targets import APPLICATION, PLAIN
from bench.throughput import Crowd, speed_ratio
from bench.websocket import APPLICATION_PAGE

PLAIN_LOOP = {1: 4.0, 8: 12.0}
"""By the number of readers: times the tokens per second of the plain loop with as many."""

LLAMA_CPP = {1: 0.95, 8: 1.1}
"""Times the tokens per second of llama.cpp alone with as many readers; on a CPU with AVX2 only, too."""

WAY_THROUGH = 0.9
"""Of llama.cpp's tokens per second alone, what is left when it is asked through this application."""

SINCE_FLOAT32 = {1: 2.5, 8: 2.0}
"""With AVX2 only, times this application in float32 with as many readers: as it ran there once."""

BESIDE_OTHERS, NOT_SPINNING = 0.25, 0.9
"""Times the speed of a quiet machine: beside a busy program on each core, half of the half that is fair; and what
waiting shorter for other threads than libgomp does by itself must leave."""

LATER_TURN_TOKENS, LATER_TURN_SECONDS, LATER_TURN_RATIO = 1400, 0.15, 1.5
"""First text after so many tokens of history: in seconds, and in times that of a fresh short prompt."""

NEW_PROMPT_RATIO = 1.0
"""With AVX2 only, first text of a prompt that nobody has read, in times this application's in float32."""

BYTES_PER_BYTE, FLAT = 6.0, 1.25
"""WebSocket bytes on the wire for a byte of reply, and how many times the shortest reply's the longest's may be."""

START_RATIO = 1.5
"""Times what the imports alone take: of the libraries' names, and of the classes too that load a checkpoint."""

LOADING_RATIO = 1.15
"""Times a large model's final weights; one of the files that they are read from may be there beside them."""

SEED_PRICE = 1.5
"""Times the tokens per second of as many readers without seeds, over those with."""

SCORES_SHARE = 0.03
"""Of a step, what keeping its scores may take."""

GRID_RATIO = 1.3
"""Times the same replies asked as one batch."""

ACTION_SECONDS = 0.1
"""What listing, opening, searching or sending takes the database, of 95 in 100."""

STORING_SHARE = 0.05
"""Of the time that eight replies take, how much transactions that write may compute."""

OPENING_SECONDS = 1.0
"""From the click on a conversation until it is shown, however long it is."""

LOOK_BYTES, LOOK_SECONDS, FRAME_SECONDS = 400_000, 0.3, 0.016
"""For looking inside a reply: what is sent, until it is drawn then, and 95 in 100 recolourings."""


@dataclass(frozen=True)
class Goal:
    """``reached`` and ``wanted`` are for people to read."""

    what: str
    wanted: str
    reached: str
    met: bool


def engine_goals(results: Results) -> list[Goal]:
    """The goals for replies that this run has figures for."""
    parts = (_throughput, _avx2, _busy, _later_turn, _seeds, _kept_scores, _grid, _traffic, _start)
    return [goal for part in parts for goal in part(results)]


def conversation_goals(results: Results) -> list[Goal]:
    """The goals for conversations that this run has figures for."""
    return [goal for part in (_actions, _stored, _opening, _looks) for goal in part(results)]


def large_goals(results: Results) -> list[Goal]:
    """The goal for loading a large model, if this run has figures for it."""
    if (loading := results.loading) is None:
        return []
    most = LOADING_RATIO * loading.weights + loading.shard
    what = f"memory until a model is loaded, of {LOADING_RATIO:g} times its final weights and its largest file"
    return [Goal(what, "≤ 100 %", f"{100 * loading.peak / most:.0f} %", loading.peak <= most)]


def _throughput(results: Results) -> Iterator[Goal]:
    yield from _speeds(results.crowds, APPLICATION, PLAIN, PLAIN_LOOP, digits=1)
    yield from _speeds(results.crowds, APPLICATION, ALONE, LLAMA_CPP)
    yield from _speeds(results.crowds, BEHIND, ALONE, dict.fromkeys(LLAMA_CPP, WAY_THROUGH))
    yield from _speeds(results.crowds, APPLICATION, IN_FLOAT32, SINCE_FLOAT32)


def _avx2(results: Results) -> Iterator[Goal]:
    yield from _speeds(results.avx2, APPLICATION, ALONE, LLAMA_CPP, "with AVX2 only, ")
    yield from _speeds(results.avx2, APPLICATION, IN_FLOAT32, SINCE_FLOAT32, "with AVX2 only, ")
    yield from _new_prompt(results.avx2_turns, "with AVX2 only, ")


def _speeds(
    crowds: Sequence[Crowd], target: str, peer: str, wanted: Mapping[int, float], where: str = "", digits: int = 2
) -> Iterator[Goal]:
    """Tokens per second of a target, times its peer's, by the number of readers."""
    who = "" if target == APPLICATION else f"{target}, "
    for users, least in wanted.items():
        ratio = speed_ratio(crowds, target, peer, users)
        if ratio is not None:
            what = f"{where}{who}tokens/s of {_readers(users)}, times {peer}"
            yield Goal(what, f"≥ {least:g}", f"{ratio:.{digits}f}", ratio >= least)


def _busy(results: Results) -> Iterator[Goal]:
    for users in busy.READERS:
        if own := [one for one in results.busy if one.readers == users]:
            beside = median(one.beside / one.quiet for one in own)
            what = f"tokens/s of {_readers(users)} beside a busy program on each core, times a quiet machine's"
            yield Goal(what, f"≥ {BESIDE_OTHERS:g}", f"{beside:.2f}", beside >= BESIDE_OTHERS)
            quiet = median(one.quiet / one.spinning for one in own)
            what = f"tokens/s of {_readers(users)} on a quiet machine, times those with libgomp's own spinning"
            yield Goal(what, f"≥ {NOT_SPINNING:g}", f"{quiet:.2f}", quiet >= NOT_SPINNING)


def _readers(users: int) -> str:
    return "one reader" if users == 1 else f"{users} readers at once"


def _later_turn(results: Results) -> Iterator[Goal]:
    firsts = {history: _firsts(results.later_turns, APPLICATION, history) for history in (0, LATER_TURN_TOKENS)}
    if all(firsts.values()):
        seconds = median(firsts[LATER_TURN_TOKENS])
        ratio = paired_ratio(firsts[LATER_TURN_TOKENS], firsts[0])
        what = f"first text after {LATER_TURN_TOKENS:,} tokens of known history"
        yield Goal(f"{what}, s", f"< {LATER_TURN_SECONDS:g}", f"{seconds:.3f}", seconds < LATER_TURN_SECONDS)
        yield Goal(
            f"{what}, times a fresh short prompt's", f"< {LATER_TURN_RATIO:g}", f"{ratio:.2f}", ratio < LATER_TURN_RATIO
        )

    yield from _new_prompt(results.later_turns)


def _new_prompt(turns: Sequence[LaterTurn], where: str = "") -> Iterator[Goal]:
    new, before = (_firsts(turns, target, LATER_TURN_TOKENS, is_known=False) for target in (APPLICATION, IN_FLOAT32))
    if new and before:
        ratio = paired_ratio(new, before)
        what = f"{where}first text of a new prompt of {LATER_TURN_TOKENS:,} tokens, times {IN_FLOAT32}"
        yield Goal(what, f"≤ {NEW_PROMPT_RATIO:g}", f"{ratio:.2f}", ratio <= NEW_PROMPT_RATIO)


def _firsts(turns: Sequence[LaterTurn], target: str, history: int, is_known: bool = True) -> list[float]:
    wanted = (target, history, is_known)
    return [turn.first for turn in turns if (turn.target, turn.history, turn.is_known) == wanted]


def _seeds(results: Results) -> Iterator[Goal]:
    for users in (1, 8):
        if pairs := [pair for pair in results.neighbours if pair.what == seeds(users)]:
            price = 1 / summarize(pairs).ratio
            readers = "one reader" if users == 1 else f"{users} readers"
            yield Goal(f"price of a seed, {readers}", f"< {SEED_PRICE:g}", f"{price:.2f}", price < SEED_PRICE)


def _kept_scores(results: Results) -> Iterator[Goal]:
    for users in (1, 8):
        if pairs := [pair for pair in results.neighbours if pair.what == step_with_scores(users)]:
            share = summarize(pairs).ratio - 1
            readers = "one reader" if users == 1 else f"{users} readers"
            what = f"keeping the scores of a step, {readers}, as a share of it"
            yield Goal(what, f"< {100 * SCORES_SHARE:g} %", f"{100 * share:.1f} %", share < SCORES_SHARE)


def _grid(results: Results) -> Iterator[Goal]:
    if pairs := [pair for pair in results.neighbours if pair.what == GRID]:
        ratio = summarize(pairs).ratio
        what = "a grid of 18 replies in the lab, times the same replies as one batch"
        yield Goal(what, f"< {GRID_RATIO:g}", f"{ratio:.2f}", ratio < GRID_RATIO)


def _traffic(results: Results) -> Iterator[Goal]:
    for kind in ("prose", "code"):
        own = [one for one in results.traffic if (one.page, one.kind) == (APPLICATION_PAGE, kind)]
        if not own:
            continue
        shares = [one.wire / one.reply for one in sorted(own, key=lambda one: one.tokens)]
        what = f"WebSocket bytes per byte of reply ({kind})"
        yield Goal(f"{what}, the most", f"≤ {BYTES_PER_BYTE:g}", f"{max(shares):.1f}", max(shares) <= BYTES_PER_BYTE)
        growth = shares[-1] / shares[0]
        yield Goal(f"{what}, longest reply's over shortest's", f"≤ {FLAT:g}", f"{growth:.2f}", growth <= FLAT)


def _start(results: Results) -> Iterator[Goal]:
    server, imports, classes = (
        [start.seconds for start in results.starts if start.what == what] for what in (SERVER, IMPORTS, CLASSES)
    )
    if server:
        for what, seconds in ((IMPORTS, imports), (CLASSES, classes)):
            ratio = paired_ratio(server, seconds)
            yield Goal(f"start to ready, times {what}", f"≤ {START_RATIO:g}", f"{ratio:.2f}", ratio <= START_RATIO)


def _actions(results: Results) -> Iterator[Goal]:
    for name in dict.fromkeys(action.database for action in results.actions):
        own = [action for action in results.actions if action.database == name]
        kinds = dict.fromkeys(action.what for action in own)
        slowest = max(
            conversations.summarize([action for action in own if action.what == what]).share_95 for what in kinds
        )
        what = f"95 % of what readers do with conversations in {name}, s"
        yield Goal(what, f"≤ {ACTION_SECONDS:g}", f"{slowest:.3f}", slowest <= ACTION_SECONDS)


def _stored(results: Results) -> Iterator[Goal]:
    for name in dict.fromkeys(one.database for one in results.stored):
        share = storing.summarize([one for one in results.stored if one.database == name]).share
        yield Goal(
            f"keeping {storing.AT_ONCE} growing replies in {name}, computing as a share of their time",
            f"< {100 * STORING_SHARE:g} %",
            f"{100 * share:.1f} %",
            share < STORING_SHARE,
        )


def _opening(results: Results) -> Iterator[Goal]:
    own = [click for click in results.clicks if click.what == clicks.OPEN]
    if own:
        longest = max(click.messages for click in own)
        seconds = clicks.summarize([click for click in own if click.messages == longest]).seconds
        what = f"opening a conversation of {longest:,} messages, s"
        yield Goal(what, f"< {OPENING_SECONDS:g}", f"{seconds:.2f}", seconds < OPENING_SECONDS)


def _looks(results: Results) -> Iterator[Goal]:
    if not results.looks:
        return
    tokens = max(look.tokens for look in results.looks)
    summary = looking.summarize([look for look in results.looks if look.tokens == tokens])
    what = f"looking inside a reply of {tokens:,} tokens"
    sent, drawn, move = summary.sent, summary.seconds, summary.move_95
    yield Goal(f"{what}, kB sent", f"< {LOOK_BYTES / 1000:g}", f"{sent / 1000:.0f}", sent < LOOK_BYTES)
    yield Goal(f"{what}, s until it is drawn", f"< {LOOK_SECONDS:g}", f"{drawn:.2f}", drawn < LOOK_SECONDS)
    yield Goal(
        f"{what}, ms to recolour it, 95 %", f"< {1000 * FRAME_SECONDS:g}", f"{1000 * move:.1f}", move < FRAME_SECONDS
    )
