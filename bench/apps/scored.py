"""The application's own page, over an engine that recites with scores: ``prose 2000`` asks for 2,000 tokens at once."""

from collections.abc import Iterator, Sequence

import numpy as np
import streamlit as st

from bench.apps.replies import read_question, reply
from components.api.middleware import build_middleware
from components.engine import host
from components.engine.events import Delta
from components.engine.interface import GenerationRequest, Piece
from components.sampling.kept import StepScores
from tests.scripted_engine import ScriptedEngine

VOCABULARY = 125_696
"""Baichuan 2's."""

KEPT = 50
PIECES = sorted(set(reply("prose", 2000)))


class ScoredEngine(ScriptedEngine):
    """Knows what its tokens stand for: the first are those of the text, the others words that nobody knows."""

    def pieces(self, tokens: Sequence[int]) -> list[Piece]:
        """See ``Engine.pieces``."""
        texts = [PIECES[token] if token < len(PIECES) else f" w{token}" for token in tokens]
        return [Piece(text.encode(), is_control=False) for text in texts]


def recite(request: GenerationRequest) -> Iterator[Delta]:
    """Answer the newest question."""
    chance = np.random.default_rng(0)
    places = {text: place for place, text in enumerate(PIECES)}
    for text in reply(*read_question(request.messages[-1]["content"])):
        yield Delta(text, 1, ids=(places[text],), scores=(scores_of(places[text], chance),))


def scores_of(token: int, chance: np.random.Generator) -> StepScores:
    """In bfloat16, as models compute by default, of tokens among which some are far commoner than others."""
    drawn = np.unique((VOCABULARY ** chance.random(4 * KEPT)).astype(np.int32))
    ids = chance.permutation(drawn[drawn != token])[:KEPT]
    ids[min(chance.geometric(0.7) - 1, KEPT - 1)] = token
    gaps = chance.exponential(2.0 / np.arange(1, KEPT + 1))
    scores = (chance.normal(20, 3) - np.cumsum(gaps)).astype(np.float32)
    scores = (scores.view(np.uint32) & 0xFFFF0000).view(np.float32)
    return StepScores(ids, scores, float(scores[-1]) + 2, token, float(scores[ids == token][0]))


class ScoredHost:
    """Stands in for the engine host."""

    state = host.Ready(ScoredEngine(recite).with_info(vocabulary=VOCABULARY), 1.0)
    recorder = None


setattr(host, "engine_host", ScoredHost)  # noqa: B010

# Streamlit finds the application only when it is made right here. The middleware gives each browser its name.
app = st.App("../../components/ui/page.py", middleware=build_middleware())
