"""A reply that a server of our own writes, which is given token ids and tells token ids: the text is made here."""

import time
from collections.abc import Sequence
from dataclasses import replace

from components.engine.events import Delta, Finished, FinishReason
from components.engine.interface import Generation, GenerationRequest
from components.engine.remote.chunks import Part
from components.engine.remote.failures import DroppedError
from components.engine.remote.streamed_reply import StreamedReply
from components.engine.vocabulary import detokenizer_of
from components.model.token_texts import TokenTexts
from components.sampling.kept import StepScores
from components.sampling.stopping import LoopGuard, StopStrings

END_TOKEN = "eos"
"""The end of a part whose last token is one of the model's end tokens, for servers that tell those, too."""


class ReplyByIds(StreamedReply):
    """A request's state in the engine.

    Attributes:
        prompt: the ids that the server reads; those of a reply that is written on are among them. None while they are
            not known.
        ids: what it has chosen.
    """

    def __init__(
        self, request: GenerationRequest, generation: Generation, prompt: Sequence[int] | None, texts: TokenTexts
    ) -> None:
        super().__init__(request, generation)
        self.prompt = prompt
        self.ids: list[int] = []
        self._reused = 0
        self._server_ended = False
        self._detokenizer = detokenizer_of(request, texts)
        self._stops = StopStrings(request.sampling.stop)
        self._loops = LoopGuard()
        self._shown = 0  # tokens whose text the reader has
        self._ready = (0, 0, 0)  # ids, tokens and scores up to the last one that gave text
        self._without_id = self._uncounted = 0  # tokens, in all and since the last text
        self._untold_scores: tuple[StepScores, ...] = ()
        self._lacks_scores = False
        for id_ in request.continues:
            self._loops.push(id_)

    @property
    def is_over(self) -> bool:
        """Whether nothing more of it is wanted, though the server goes on."""
        return self.end is not None and not self._server_ended

    @property
    def prompt_tokens(self) -> int:
        """How many the prompt has; 0 while that is not known."""
        return len(self.prompt or ())

    @property
    def completion_tokens(self) -> int:
        """How many were chosen."""
        return len(self.ids) + self._without_id

    @property
    def reused_tokens(self) -> int:
        """How many of the prompt's the server knew from before."""
        return self._reused

    @property
    def is_estimated(self) -> bool:
        """Whether nobody has counted the tokens."""
        return False

    def take(self, part: Part) -> None:
        """Take the next tokens of the stream and hand their text to the reader.

        Raises:
            DroppedError: the server gave up.
        """
        self.fingerprint = part.fingerprint or self.fingerprint
        self._reused = self._reused if part.reused is None else part.reused
        if part.ids:
            self.last_piece_at = time.monotonic()
            self.first_piece_at = self.first_piece_at or self.last_piece_at
        self._without_id += part.without_id
        self._uncounted += part.without_id
        text, every = "", len(part.ids)
        self._lacks_scores |= len(part.scores) < every
        knows_each = len(part.tokens) == every
        for place, id_ in enumerate(part.ids):
            self.untold += part.tokens[place : place + 1] if knows_each else part.tokens if place == 0 else ()
            self._untold_scores += part.scores[place : place + 1]
            if new := self._take(id_):
                text += new
                self._ready = len(self.ids), len(self.untold), len(self._untold_scores)
            if self.end is not None:
                break
        self._show(text)
        if part.end == "abort":  # vLLM's word for a request that it lost
            raise DroppedError("the reply was aborted")
        self._server_ended |= part.end is not None
        if part.end is not None and self.end is None:
            self.end = "length" if part.end == "length" else "stop"
            if part.end == END_TOKEN and self.ids:
                self.ids.pop()  # it was told as a token, and is no part of the reply
                self.pieces -= 1

    def finish(self, finished: Finished) -> None:
        """Hand out what was held back, and the end. A character that is not complete is not handed out."""
        self._ready = len(self.ids), len(self.untold), len(self._untold_scores)
        self._show(self._stops.finish())
        self.generation.put(replace(finished, tokens=self.untold, scores=self._scores(len(self._untold_scores))))

    def _scores(self, count: int) -> tuple[StepScores, ...]:
        """The next ones for the reader. Of a reply that lacks some, they would stand beside wrong tokens."""
        scores, self._untold_scores = self._untold_scores[:count], self._untold_scores[count:]
        return () if self._lacks_scores else scores

    def _take(self, id_: int) -> str:
        """Take one token; return the text that can be shown now."""
        if id_ in self.request.sampling.stop_token_ids:
            self.end = self._stopped_by_caller
            return ""
        self.ids.append(id_)
        self.pieces += 1
        text, stopped = self._stops.push(self._detokenizer.push(id_))
        if stopped:
            self.end = self._stopped_by_caller
        elif self._loops.push(id_) is not None:
            self.end = "loop"
        return text

    @property
    def _stopped_by_caller(self) -> FinishReason:
        """Why a reply ended that one of the caller's stops has cut: to a program, "stop" means that JSON is whole."""
        return "length" if self.request.sampling.has_form else "stop"

    def _show(self, text: str) -> None:
        """Hand out text, with all up to the last token that gave some: behind it may be the one that ends the reply."""
        if text:
            until, tokens, scores = self._ready
            new = tuple(self.ids[self._shown : until])
            self._shown += len(new)
            told, self.untold = self.untold[:tokens], self.untold[tokens:]
            ids = () if self.request.sampling.stop else new
            count = max(1, len(new) + self._uncounted)
            self._uncounted = 0
            self.generation.put(Delta(text, count, told, ids, self._scores(scores)))
