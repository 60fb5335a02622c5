"""What is sent to the browser of a reply, taken apart there: its texts, its scores, and what settings make of them."""

import base64
import json
import math
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from components.engine.interface import Piece
from components.sampling import what_if
from components.sampling.filters import Cut, ExactStep, Left
from components.sampling.kept import KeptScores, StepScores
from components.sampling.parameters import SamplingParams
from components.sampling.what_if import SUFFICIENT, Seen, greedy_difference
from components.ui.components.packing import UNKNOWN_VOCABULARY, pack_answer, pack_for_view, tokens_of
from tests.sampling.steps import VALUES, Case, Scores, exactly, keep, penalized, real_odds, real_stages, scores_of
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


BY_SOME = 5
CUTS: list[Cut | None] = [None, Cut.TEMPERATURE, Cut.TOP_K, Cut.TOP_P, Cut.MIN_P]
"""As the page's modules number them."""


def first_cuts(stages: Sequence[tuple[Cut | None, NDArray[np.float64]]]) -> list[Cut | None]:
    """Of every token the filter that cut it."""
    return [next((cut for cut, odds in stages if odds[token] == 0), None) for token in range(VOCABULARY)]


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


def assert_are_the_stages(
    case: Case, told: dict[str, Any], ids: Sequence[int]
) -> Sequence[tuple[Cut | None, NDArray[np.float64]]]:
    """Every stage says what the filters really make of all scores, and top_p's sums are of what it is given."""
    stages = real_stages(case)
    known = [ids[token] for token, _, _ in told["all"]]
    for (cut, real), found in zip(stages, told["stages"], strict=True):
        assert CUTS[found["cut"]] == cut
        assert (np.abs(np.array(found["odds"]) - real[known]) <= np.array(found["doubts"]) + 1e-6).all()
        assert found["suffices"] == (max(found["doubts"]) <= SUFFICIENT)
    names = [cut for cut, _ in stages]
    given = names.index(Cut.TOP_P) - 1 if Cut.TOP_P in names else 0
    assert CUTS[told["sum"]["cut"]] == names[given]
    sums = np.cumsum(stages[given][1][known])
    assert (np.abs(np.array(told["sum"]["sums"]) - sums) <= np.array(told["sum"]["doubts"]) + 1e-6).all()
    return stages


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
                stages = assert_are_the_stages(case, told, ids)
                for token, odds, cut in told["all"]:
                    assert abs(odds - real[ids[token]]) <= told["error"] + 1e-6
                    assert not cut or real[ids[token]] == 0
                    assert cut in (0, BY_SOME) or not is_bfloat16 or CUTS[cut] == first_cuts(stages)[ids[token]]
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
        temperature = chance.choice((0.0, 0.4, 1.3, 1.3, 2.0))
        sampling = random_sampling(chance).model_copy(update={"temperature": temperature})
        tokens = tokens_of(written.kept)
        answers = [
            pack_answer(place, exactly(written.case(place, sampling)), tokens, Piece(b"x", is_control=False))
            for place in range(STEPS)
        ]
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
        assert answered["unknown"] == []
        likeliest = [int(penalized(written.case(place, sampling)).argmax()) for place in range(STEPS)]
        differs = [place for place, step in enumerate(written.kept.steps) if likeliest[place] != step.token]
        assert answered["told"]["greedy"] == (differs[0] if differs else -1)
        assert answered["told"]["isGreedySure"]
        ids = tokens_of(written.kept).tolist()
        for place, told in enumerate(answered["places"]):
            case = written.case(place, sampling)
            stages = real_stages(case)
            cuts = first_cuts(stages)
            assert abs(told["odds"] - stages[-1][1][case.step.token]) <= SUFFICIENT + 1e-6
            for (_, real), found_there in zip(stages, told["stages"], strict=True):
                assert found_there["suffices"]
                for (token, _, _), odds in zip(told["all"], found_there["odds"], strict=True):
                    assert abs(odds - real[ids[token]]) <= SUFFICIENT + 1e-6
            assert [CUTS[cut] for _, _, cut in told["all"]] == [cuts[ids[token]] for token, _, _ in told["all"]]
        unknown += changed["told"]["lacking"]
    assert unknown, "or the answers were not needed"


PARTLY_TOLD = [
    StepScores.of_logprobs([0, 1], [-0.3, -1.7], 0, -0.3),
    StepScores.of_logprobs([], [], 2, math.log(0.2)),
    StepScores.of_logprobs([], [], 2, math.log(0.8)),
    StepScores.of_logprobs([], [], 3, None),
    StepScores.of_logprobs([0, 1], [-0.4, -1.9], 3, None),
    StepScores.of_logprobs([0, 1], [-0.4, -1.9], 3, -4.0),
    StepScores.of_logprobs([], [], 0, math.log(0.3)),
]
"""As another server may tell the steps of one reply."""


@pytest.mark.parametrize("steps", [PARTLY_TOLD, [step for step in PARTLY_TOLD if not len(step.ids)]], ids=len)
def test_steps_are_shown_as_far_as_a_server_tells_them(steps: list[StepScores]) -> None:
    ids = sorted({id_ for step in steps for id_ in (*step.ids.tolist(), step.token)})
    kept = KeptScores(0, steps, normalized=True, texts=(b"a", b"b", b"c", b"d"))
    samplings = [
        SamplingParams.model_validate({"repetition_penalty": 1.0, **changes})
        for changes in (
            {},
            {"temperature": 1.0, "top_k": 0, "top_p": 1.0},
            {"temperature": 0.0},
            {"temperature": 1.5, "top_k": 0, "top_p": 1.0, "presence_penalty": 0.5},
        )
    ]
    looks = [{"settings": settings_of(sampling), "pieces": [[0, len(steps)]]} for sampling in samplings]
    pieces = [Piece(text, is_control=False) for text in kept.texts]
    [found] = look([{**as_input(kept, frozenset(), pieces), "looks": looks}])
    for sampling, looked in zip(samplings, found["looked"], strict=True):
        outlooks = list(what_if.look_through(replace(kept, vocabulary=UNKNOWN_VOCABULARY), sampling, ()))
        for step, outlook, told in zip(steps, outlooks, looked["places"], strict=True):
            assert [ids[token] for token, _, _ in told["all"]] == outlook.ids.tolist()
            assert [odds for _, odds, _ in told["all"]] == pytest.approx(outlook.odds, abs=1e-3)
            assert told["error"] == pytest.approx(outlook.error, abs=1e-3)
            own = outlook.odds_of(step.token) if step.token in outlook.ids else None
            assert told["odds"] == (None if own is None else pytest.approx(own, abs=1e-3))  # JSON has no NaN
        assert looked["told"]["untold"] == sum(math.isnan(step.score) for step in steps)
        lacking = sum(not one.suffices for one, step in zip(outlooks, steps, strict=True) if not math.isnan(step.score))
        assert looked["told"]["lacking"] == lacking
        greedy, is_sure = greedy_difference(kept, sampling, ())
        assert (looked["told"]["greedy"], looked["told"]["isGreedySure"]) == (greedy, is_sure)
    neutral = [told["odds"] for told in found["looked"][1]["places"] if told["odds"] is not None]
    assert neutral == pytest.approx([math.exp(step.score) for step in steps if not math.isnan(step.score)], abs=1e-3)


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


def test_an_answer_names_the_likeliest_token_as_the_view_does() -> None:
    scores = scores_of([0.0, 3.0, 2.0, 1.0])
    kept = KeptScores(4, [keep(scores, 2, 3)])  # tokens 1, 2, and 3 that came
    piece = Piece("日".encode(), is_control=False)
    stages = (Left(None, 4, 0.0, 3.4), Left(Cut.TOP_K, 1, 3.0, 3.0))
    answers = [pack_answer(5, ExactStep(token, stages), tokens_of(kept), piece) for token in (0, 1, 3)]
    assert [answer["likeliest"] for answer in answers] == [-1, 0, 2]
    assert answers[0]["place"] == 5
    assert bytes(answers[0]["text"]).decode() == "日"
    told = json.loads(json.dumps(answers[0]["stages"]))
    assert told[0] == {"cut": None, "kept": 4, "lowest": 0.0, "log_total": 3.4}
    assert told[1]["cut"] == "top_k"
