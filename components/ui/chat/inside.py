"""Looking inside a reply: its tokens, how likely each was, and what other settings would have done."""

import hashlib
import logging
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import streamlit as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from components.chats.chat import Chat
from components.chats.inside import check_model, exact_steps, kept_scores
from components.engine.errors import EngineError
from components.engine.interface import Engine, Piece
from components.sampling.kept import KeptScores
from components.sampling.parameters import SamplingParams
from components.store.errors import StoreError
from components.store.rows import Message, Reply
from components.ui.chat.actions import LOOKED_INTO, Action, request_action
from components.ui.chat.icons import draw_icon_button
from components.ui.components.mounting import token_view
from components.ui.components.packing import pack_answer, pack_for_view, tokens_of
from components.ui.texts import Texts

_VIEW = "inside_view"
"""In the session: what was sent to the browser for it, and for what."""

_ASKED = "inside_asked"
"""In the session: what the view asked the model, and the answers once they are there."""

logger = logging.getLogger(__name__)

SLIDERS: dict[str, tuple[float, float, float]] = {
    "temperature": (0, 2, 0.05),
    "top_p": (0.05, 1, 0.05),
    "top_k": (0, 100, 1),
    "min_p": (0, 1, 0.01),
    "repetition_penalty": (1, 2, 0.01),
    "presence_penalty": (-2, 2, 0.1),
    "frequency_penalty": (-2, 2, 0.1),
}
"""What the view can change: lowest and highest value and step."""


@dataclass(frozen=True)
class _Inside:
    """A reply as it is looked into.

    Attributes:
        kept: its scores.
        prompt: the tokens that stand before it, each once; None where they are not known.
        sampling: how it was written.
    """

    kept: KeptScores
    prompt: frozenset[int] | None
    sampling: SamplingParams

    @property
    def tells_penalty(self) -> bool:
        """Whether it can be told what a repetition penalty does.

        Nobody can penalize logits that were shifted by an unknown amount, nor tokens that may stand before the reply.
        """
        return not self.kept.normalized and self.prompt is not None

    @property
    def shown(self) -> SamplingParams:
        """How it was written, as far as the view can tell what that did."""
        return self.sampling if self.tells_penalty else self.sampling.model_copy(update={"repetition_penalty": 1.0})


class _Asked(BaseModel):
    """What the view sends: it comes from a browser, so anything may be in it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    settings: dict[str, float]

    def changes(self, sampling: SamplingParams) -> dict[str, Any]:
        """The settings, of which it is certain that there are such.

        Raises:
            ValidationError: there are not.
        """
        wanted = {name: self.settings[name] for name in SLIDERS if name in self.settings}
        valid = SamplingParams.model_validate(sampling.model_dump() | wanted)
        return {name: getattr(valid, name) for name in wanted}


class _Branch(_Asked):
    """To go on with another token: the one of this rank among those kept at this place."""

    place: int = Field(ge=0)
    rank: int = Field(ge=0)


class _Question(_Asked):
    """To be told by the model what the kept scores do not tell of these places."""

    places: list[int]


def draw_inside_button(message: Message, texts: Texts) -> None:
    """A button that opens and closes the view of ``message``."""
    is_open = st.session_state.get(LOOKED_INTO) == message.id
    draw_icon_button(
        "biotech",
        texts.inside.close if is_open else texts.inside.open,
        message.id,
        _toggle,
        (message.id,),
        kind="primary" if is_open else "tertiary",
    )


def _toggle(message: int) -> None:
    st.session_state[LOOKED_INTO] = None if st.session_state.get(LOOKED_INTO) == message else message
    for key in (_VIEW, _ASKED):
        st.session_state.pop(key, None)


def draw_inside(chat: Chat, message: Message, reply: Reply, engine: Engine, texts: Texts) -> None:
    """The view, where it is open: nothing is read or sent before."""
    if st.session_state.get(LOOKED_INTO) != message.id:
        return
    key = (message.id, message.text, texts.inside, engine.info.model)
    sent = st.session_state.get(_VIEW)
    if sent is None or sent[0] != key:
        st.session_state.pop(_ASKED, None)  # its answers name tokens by their places among those of the view before
        try:
            with st.spinner(texts.inside.reading):
                inside = _read(chat, message, reply, engine)
                sent = st.session_state[_VIEW] = (key, inside, _pack(inside, message, engine, texts))
        except (EngineError, StoreError) as error:
            st.info(texts.inside.nothing, icon=":material/info:")
            st.caption(str(error))
            return
    _, inside, data = sent
    mounted = f"inside_{message.id}"
    token_view()(
        key=mounted,
        data=data,
        on_branch_change=partial(_branch, mounted, message.id, inside),
        on_ask_change=partial(_ask, mounted, message.id, inside),
    )
    _draw_answers(chat, message, inside, engine, texts)


def _branch(mounted: str, message: int, inside: _Inside) -> None:
    """Have the reply written on from another token than came."""
    try:
        asked = _Branch.model_validate(st.session_state[mounted].branch)
        changes = asked.changes(inside.sampling)
        if not inside.tells_penalty:  # then the view is without it, and the reply was not
            changes["repetition_penalty"] = inside.sampling.repetition_penalty
        steps = inside.kept.steps[: asked.place + 1]
        token = int(steps[asked.place].ids[asked.rank])
    except (ValidationError, IndexError) as error:
        logger.warning("What the view of a reply's tokens asked for is left undone: %s", error)
        return
    begin = inside.kept.before([*(step.token for step in steps[:-1]), token])
    request_action(Action("branch", message=message, begin=begin, changes=changes))


def _ask(mounted: str, message: int, inside: _Inside) -> None:
    """Have the model asked in the script run that follows."""
    try:
        asked = _Question.model_validate(st.session_state[mounted].ask)
        sampling = inside.sampling.model_copy(update=asked.changes(inside.sampling))
    except ValidationError as error:
        logger.warning("What the view of a reply's tokens asked for is left undone: %s", error)
        return
    st.session_state[_ASKED] = {"message": message, "asked": asked, "sampling": sampling}


def _draw_answers(chat: Chat, message: Message, inside: _Inside, engine: Engine, texts: Texts) -> None:
    """What the model says to the question that the view asked last, for the view; and why, where it says nothing."""
    question = st.session_state.get(_ASKED)
    if question is None or question["message"] != message.id:
        return
    asked: _Question = question["asked"]
    if "answers" not in question:
        question |= {"answers": [], "problem": ""}
        places = sorted({place for place in asked.places if 0 <= place < len(inside.kept.steps)})
        try:
            with st.spinner(texts.inside.reading):
                steps = exact_steps(chat, engine, message, question["sampling"], places)
        except (EngineError, StoreError) as error:
            question["problem"] = str(error)
        else:
            tokens, pieces = tokens_of(inside.kept), engine.pieces([step.likeliest for step in steps])
            answers = zip(places, steps, pieces, strict=True)
            question["answers"] = [pack_answer(place, step, tokens, piece) for place, step, piece in answers]
    data = {"view": str(message.id), "settings": asked.settings, "answers": question["answers"]}
    token_view()(key=f"answers_{message.id}", data=data)
    if question["problem"]:
        st.caption(question["problem"])


def _read(chat: Chat, message: Message, reply: Reply, engine: Engine) -> _Inside:
    kept = kept_scores(chat, engine, message)
    prompt: frozenset[int] | None = None
    if not kept.texts:
        check_model(reply, engine)
        seen = chat.seen(engine, message)
        prompt = None if seen is None else frozenset(seen.prompt)
    return _Inside(kept, prompt, SamplingParams.model_validate(reply.sampling))


def _pack(inside: _Inside, message: Message, engine: Engine, texts: Texts) -> bytes:
    kept = inside.kept
    knows_ids = not kept.texts
    told: dict[str, Any] = {
        "view": str(message.id),
        "settings": {name: getattr(inside.shown, name) for name in SLIDERS},
        "sliders": [_slider(name, inside, texts) for name in SLIDERS],
        "texts": asdict(texts.inside),
        "canBranch": knows_ids,
        "canAsk": knows_ids and not kept.normalized and inside.prompt is not None,
    }
    pieces = (
        (lambda ids: [Piece(kept.texts[place], is_control=False) for place in ids]) if kept.texts else engine.pieces
    )
    digest = hashlib.sha256(repr((told, message.text, inside.prompt)).encode()).hexdigest()
    return pack_for_view(kept, inside.prompt or (), pieces, {**told, "version": digest})


def _slider(name: str, inside: _Inside, texts: Texts) -> dict[str, object]:
    low, high, step = SLIDERS[name]
    value = getattr(inside.shown, name)
    problem = ""
    if name == "repetition_penalty" and not inside.tells_penalty:
        problem = texts.inside.needs_logits if inside.kept.normalized else texts.inside.needs_prompt
    return {
        "name": name,
        "label": texts.labels[name],
        "low": min(low, value),
        "high": max(high, value),
        "step": step,
        "problem": problem,
    }
