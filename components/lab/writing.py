"""Writes the samples of one sheet, so many at once as leave room for others, and tells how far it is."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from components.chats.asker import Asker
from components.engine.errors import EngineError, LimitError, PromptError
from components.engine.events import LEAST_LOGPROB, Delta, Finished
from components.engine.interface import Engine, Generation, GenerationRequest
from components.model.chat_format import Message
from components.sampling.parameters import SamplingParams
from components.store.sheets import Cell, Sample, Sheet

LONGEST_PAUSE_SECONDS = 60.0
"""Somebody who asked for as much as they may in a minute waits for the next; who used up a day does not."""

Place = tuple[int, int]
"""The number of a cell, and of a sample in it."""


class Writing:
    """The writing of one sheet. All methods may be called from any thread.

    Every sample is a reply in the engine's ordinary line, where visitors take turns. One of the engine's places is left
    to others, and one of the visitor's own share to their chat.

    Attributes:
        sheet: as it began.
        problem: why it is not kept at present; None when it is.
    """

    def __init__(self, engine: Engine, asker: Asker, sheet: Sheet, places: int) -> None:
        """``places`` are how many replies the engine writes at once."""
        self.sheet = sheet
        self.problem: str | None = None
        self._engine = engine
        self._asker = asker
        self._lock = threading.Lock()
        self._samples: dict[Place, Sample] = {
            (number, which): sample
            for number, cell in enumerate(sheet.cells)
            for which, sample in enumerate(cell.samples)
        }
        self._generations: set[Generation] = set()
        self._stopped = threading.Event()
        self._ended = threading.Event()
        self._tells_logprobs = True
        self.at_once = min(len(self._samples), self._most_at_once(places))

    def start(self) -> None:
        """Begin. Returns at once."""
        threading.Thread(target=self._write_all, name="sheet-writing", daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether every sample has."""
        return self._ended.is_set()

    def stop(self) -> None:
        """Write no more. What was written stays."""
        if self.has_ended:
            return  # it is done, though perhaps not kept
        self._stopped.set()
        with self._lock:
            generations = list(self._generations)
        for generation in generations:
            generation.cancel()

    def wait_for_end(self, timeout: float) -> bool:
        """Wait until every sample has ended, for so many seconds at the most; gives whether they have."""
        return self._ended.wait(timeout)

    def now(self) -> Sheet:
        """The sheet with what is written so far."""
        ended = self.has_ended
        with self._lock:
            cells = [
                Cell(cell.sampling, [self._samples[number, which] for which in range(len(cell.samples))])
                for number, cell in enumerate(self.sheet.cells)
            ]
        end = ("cancelled" if self._stopped.is_set() else "done") if ended else None
        return replace(self.sheet, cells=cells, end=end)

    def _most_at_once(self, places: int) -> int:
        most = self._engine.limits.most_at_once if self._asker.limited else None
        return max(1, (places if most is None else min(places, most)) - 1)

    def _write_all(self) -> None:
        # The first sample of every cell, then the second: a grid shows something everywhere early.
        places = sorted(self._samples, key=lambda place: place[::-1])
        with ThreadPoolExecutor(self.at_once, "sample") as pool:
            list(pool.map(self._write, places))
        self._ended.set()

    def _write(self, place: Place) -> None:
        try:
            while not self._try_to_write(place):
                pass
        except EngineError as error:
            self._change(place, end="failed", error=str(error))

    def _try_to_write(self, place: Place) -> bool:
        """Write a sample, or find that it must be tried again; gives whether it has ended."""
        if self._stopped.is_set():
            self._change(place, end="cancelled")
            return True
        tells_logprobs = self._tells_logprobs
        try:
            self._follow(place, self._engine.generate(self._request(place, tells_logprobs=tells_logprobs)))
        except LimitError as error:
            if error.retry_after > LONGEST_PAUSE_SECONDS:
                raise
            self._stopped.wait(error.retry_after)
            return False
        except PromptError:
            if not tells_logprobs or self._samples[place].text:
                raise
            self._tells_logprobs = False  # some servers tell none, and refuse whoever asks
            return False
        return True

    def _request(self, place: Place, *, tells_logprobs: bool) -> GenerationRequest:
        number, which = place
        sampling = SamplingParams.model_validate(self.sheet.cells[number].sampling)
        if sampling.seed is not None:  # else the samples of a cell would be one
            sampling = sampling.model_copy(update={"seed": sampling.seed + which})
        turns: list[Message] = [{"role": "system", "content": self.sheet.system}] if self.sheet.system else []
        turns.append({"role": "user", "content": self.sheet.question})
        asker = self._asker
        return GenerationRequest(
            turns,
            sampling,
            asker.visitor,
            origin="page",
            limited=asker.limited,
            address=asker.address,
            logprobs=0 if tells_logprobs else None,
        )

    def _follow(self, place: Place, generation: Generation) -> None:
        began = time.monotonic()
        with self._lock:
            self._generations.add(generation)
        if self._stopped.is_set():
            generation.cancel()
        try:
            with generation:
                for event in generation:
                    if isinstance(event, Delta | Finished):
                        self._note(place, event, time.monotonic() - began)
        finally:
            with self._lock:
                self._generations.discard(generation)

    def _note(self, place: Place, event: Delta | Finished, seconds: float) -> None:
        with self._lock:
            sample = self._samples[place]
            logprobs = [token.logprob for token in event.tokens]
            told = [logprob for logprob in logprobs if logprob is not None and logprob > LEAST_LOGPROB]
            sample = replace(sample, logprob=sample.logprob + sum(told), scored=sample.scored + len(told))
            match event:
                case Delta(text, count):
                    sample = replace(sample, text=sample.text + text, tokens=sample.tokens + count)
                case Finished(reason):
                    sample = replace(
                        sample,
                        end=reason,
                        tokens=event.completion_tokens,
                        seconds=seconds,
                        first_token_seconds=event.time_to_first_token,
                    )
            self._samples[place] = sample

    def _change(self, place: Place, *, end: str, error: str = "") -> None:
        with self._lock:
            self._samples[place] = replace(self._samples[place], end=end, error=error)


def written(sheet: Sheet) -> tuple[int, int]:
    """How many samples have ended, and how many there are."""
    ends = [sample.end for cell in sheet.cells for sample in cell.samples]
    return sum(end is not None for end in ends), len(ends)
