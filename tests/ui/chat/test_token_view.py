"""What is sent to the browser of a reply, taken apart there: its texts, its scores, and what settings make of them."""

import base64
import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.engine.interface import Piece
from components.sampling import what_if
from components.sampling.kept import KeptScores
from components.sampling.parameters import SamplingParams
from components.sampling.what_if import SUFFICIENT, Seen, greedy_difference
from components.ui.components.packing import pack_for_view
from tests.sampling.steps import VALUES, Case, Scores, keep, real_odds, scores_of
from tests.server import ROOT

SCRIPT = Path(__file__).with_name("look_at_replies.mjs")
CLIENTS = ROOT / ".venv-clients" / "bin"

STEPS, VOCABULARY, REPLIES, LOOKS = 12, 60, 120, 4


@dataclass(frozen=True)
class Written:
    """A reply, with the scores of all tokens at each step."""

    kept: KeptScores
    scores: Sequence[Scores]
    prompt: frozenset[int]

    def case(self, place: int, sampling: SamplingParams) -> Case:
        before = Counter(step.token for step in self.kept.steps[:place])
        return Case(self.scores[place], self.kept.steps[place], sampling, Seen(self.prompt, before))


def look(replies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the page's modules find."""
    node = shutil.which("node", path=f"{CLIENTS}{os.pathsep}{os.environ['PATH']}")
    if node is None:
        pytest.fail("There is no Node.js to run the page's modules. Run: make .venv-clients/installed")
    asked = subprocess.run([node, str(SCRIPT)], input=json.dumps(replies), capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(asked.stdout)
    return found


def as_input(kept: KeptScores, prompt: frozenset[int], pieces: Sequence[Piece]) -> dict[str, Any]:
    packed = pack_for_view(kept, prompt, lambda ids: [pieces[id_] for id_ in ids], {})
    return {"packed": base64.b64encode(packed).decode(), "looks": []}


def write(chance: random.Random, *, is_bfloat16: bool) -> Written:
    """A random reply, in scores like a model's: the likeliest far above most others, or with many ties."""
    size, most = chance.choice((1.0, 4.0, 12.0)), chance.choice((3, 20, VOCABULARY))
    scores, steps = [], []
    for _ in range(STEPS):
        numbers = np.array([chance.uniform(-size, size) for _ in range(VOCABULARY)], dtype=np.float32)
        if is_bfloat16:
            numbers = (numbers.view(np.uint32) & 0xFFFF0000).view(np.float32)
        scores.append(scores_of(numbers.tolist()))
        steps.append(keep(scores[-1], chance.randint(1, most), chance.randrange(VOCABULARY)))
    prompt = frozenset(chance.choices(range(VOCABULARY), k=chance.randint(0, 9)))
    return Written(KeptScores(VOCABULARY, steps), scores, prompt)


def settings_of(sampling: SamplingParams) -> dict[str, float]:
    return {name: getattr(sampling, name) for name in VALUES}


def random_sampling(chance: random.Random) -> SamplingParams:
    return SamplingParams.model_validate({name: chance.choice(values) for name, values in VALUES.items()})


def exactly(case: Case) -> dict[str, float]:
    """What the model answers when it is asked for this step: see ``ExactStep``."""
    sampling, odds = case.sampling, real_odds(case)
    plain = case.sampling.model_copy(update={"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0})
    penalized = np.log(real_odds(Case(case.scores, case.step, plain, case.seen)))
    # Odds tell scores but for what is added to all: a token that nothing changed tells that.
    unchanged = [t for t in range(len(odds)) if t not in case.seen.counts and t not in case.seen.prompt]
    shift = float(case.scores[unchanged[0]] - penalized[unchanged[0]])
    scores = penalized + shift
    left = np.flatnonzero(odds)
    log_total = 0.0
    if sampling.temperature:
        log_total = float(np.logaddexp.reduce(scores[left] / sampling.temperature))
    return {"kept": len(left), "lowest": float(scores[left].min()), "log_total": log_total}


@pytest.mark.parametrize("is_bfloat16", [True, False])
def test_scores_arrive_within_the_error_that_is_told_and_those_of_bfloat16_as_they_are(is_bfloat16: bool) -> None:
    chance = random.Random(7)
    spread = [scores_of([0.0, -4.9, -4.92, -5.5, -20.0, -36.0, -39.0, -80.0, -130.0])]  # all kinds of distances
    far = Written(KeptScores(9, [keep(spread[0], 9, 0)]), spread, frozenset())
    replies = [write(chance, is_bfloat16=is_bfloat16) for _ in range(20)] + ([] if is_bfloat16 else [far])
    pieces = [Piece(b"x", is_control=False)] * VOCABULARY
    for written, found in zip(replies, look([as_input(one.kept, one.prompt, pieces) for one in replies]), strict=True):
        kept = np.concatenate([step.scores for step in written.kept.steps])
        scores, errors = np.array(found["scores"]), np.array(found["errors"])
        assert (np.abs(scores - kept) <= errors).all()
        if is_bfloat16:
            assert not errors.any()
        assert (errors[kept > -30] <= 2e-3).all(), "what settings make matter is known well"


def test_what_settings_make_of_a_reply_is_what_a_run_says() -> None:
    chance = random.Random(11)
    replies = [write(chance, is_bfloat16=number % 2 == 0) for number in range(REPLIES)]
    pieces = [Piece(b"x", is_control=False)] * VOCABULARY
    inputs, samplings = [], []
    for written in replies:
        inputs.append(as_input(written.kept, written.prompt, pieces))
        samplings.append([random_sampling(chance) for _ in range(LOOKS)])
        for sampling in samplings[-1]:
            middle = chance.randint(0, STEPS)
            parts = [[0, STEPS], [middle, STEPS], [0, middle]]  # however it is cut into frames
            inputs[-1]["looks"].append({"settings": settings_of(sampling), "pieces": parts})
    all_suffices = []
    for number, (written, own, found) in enumerate(zip(replies, samplings, look(inputs), strict=True)):
        is_bfloat16 = number % 2 == 0
        ids = sorted({id_ for step in written.kept.steps for id_ in (*step.ids.tolist(), step.token)})
        for sampling, looked in zip(own, found["looked"], strict=True):
            forbidden = lacking = 0
            for place, told in enumerate(looked["places"]):
                real = real_odds(case := written.case(place, sampling))
                if is_bfloat16:
                    here = what_if.look(case.step, VOCABULARY, sampling, case.seen)
                    assert told["error"] == pytest.approx(here.error, abs=1e-6), "as the server's own module says"
                for token, odds, cut in told["all"]:
                    assert abs(odds - real[ids[token]]) <= told["error"] + 1e-6
                    assert not cut or real[ids[token]] == 0
                assert bool(told["suffices"]) == (told["error"] <= SUFFICIENT)
                came = real[written.kept.steps[place].token]
                if told["suffices"]:
                    assert abs(told["odds"] - came) <= SUFFICIENT + 1e-6
                    assert came == 0 or told["odds"] > 0
                    forbidden += told["odds"] == 0
                else:
                    lacking += 1
                all_suffices.append(told["suffices"])
            assert looked["told"]["lacking"] == lacking
            assert looked["told"]["forbidden"] == forbidden
            greedy, is_sure = greedy_difference(written.kept, sampling, written.prompt)
            if is_bfloat16 or (looked["told"]["isGreedySure"] and is_sure):
                assert looked["told"]["greedy"] == (-1 if greedy is None else greedy)
                assert looked["told"]["isGreedySure"] == is_sure
    assert 0.5 < np.mean(all_suffices) < 1


def test_what_the_model_answers_holds_for_the_settings_it_was_asked_with() -> None:
    chance = random.Random(13)
    inputs, asked = [], []
    pieces = [Piece(b"x", is_control=False)] * VOCABULARY
    for _ in range(40):
        written = write(chance, is_bfloat16=True)
        sampling = random_sampling(chance).model_copy(update={"temperature": 1.3})
        answers = [{"place": place, **exactly(written.case(place, sampling))} for place in range(STEPS)]
        settings, parts = settings_of(sampling), [[0, STEPS]]
        other = settings | {"temperature": 0.9}
        looks = [
            {"settings": settings, "pieces": parts, "answers": answers},
            {"settings": other, "pieces": parts},
        ]
        inputs.append({**as_input(written.kept, written.prompt, pieces), "looks": looks})
        asked.append((written, sampling))
    unknown = 0
    for (written, sampling), found in zip(asked, look(inputs), strict=True):
        answered, changed = found["looked"]
        assert answered["hasExact"]
        assert not changed["hasExact"]
        assert answered["told"]["lacking"] == 0
        for place, told in enumerate(answered["places"]):
            real = real_odds(written.case(place, sampling))
            assert abs(told["odds"] - real[written.kept.steps[place].token]) <= SUFFICIENT + 1e-6
        unknown += changed["told"]["lacking"]
    assert unknown, "or the answers were not needed"


TEXTS = [
    b" hello",
    "日".encode(),
    b"\xe4",
    b"\xbd",
    b"\xa0",
    b"\xf0\x9f",
    b"\x98\x80",
    b"\xff",
    b"",
    b"e\xcc\x81",
    b"\n",
]


def cells(chosen: Sequence[int]) -> list[tuple[int, int, str]]:
    scores = scores_of([0.0] * len(TEXTS))
    kept = KeptScores(len(TEXTS), [keep(scores, 2, token) for token in chosen])
    pieces = [Piece(text, is_control=False) for text in TEXTS]
    [found] = look([as_input(kept, frozenset(), pieces)])
    return [tuple(cell) for cell in found["cells"]]


def test_tokens_of_one_character_are_shown_as_that_character() -> None:
    assert cells([0, 2, 3, 4, 1, 5, 6, 9, 10]) == [
        (0, 1, " hello"),
        (1, 3, "你"),
        (4, 1, "日"),
        (5, 2, "😀"),
        (7, 1, "e\u0301"),
        (8, 1, "\n"),
    ]


def test_bytes_that_are_no_character_are_written_out_and_swallow_nothing() -> None:
    assert cells([2, 0, 7, 3, 8, 5, 1, 5]) == [
        (0, 1, "<E4>"),
        (1, 1, " hello"),
        (2, 1, "<FF>"),
        (3, 1, "<BD>"),
        (4, 1, ""),
        (5, 1, "<F0><9F>"),
        (6, 1, "日"),
        (7, 1, "<F0><9F>"),
    ]
