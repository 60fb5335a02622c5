"""An engine without a model: a script says what it answers, and when."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from components.engine.errors import EngineError, PromptError
from components.engine.events import Delta, Finished, FinishReason, Waiting
from components.engine.interface import Engine, EngineInfo, Generation, GenerationRequest, Load
from components.engine.measuring import parted
from components.model.chat_format import Message, Prompt
from components.sampling.parameters import SamplingParams

INFO = EngineInfo(
    model="Scripted-1B",
    is_demo=False,
    device="cpu",
    dtype="bfloat16",
    context_length=40_000,
    defaults=SamplingParams(),
)


Script = Callable[[GenerationRequest], Iterable[str | Delta | Waiting | EngineError | Finished]]


def echo(request: GenerationRequest) -> Iterable[str]:
    """Say what was asked."""
    yield "You said: "
    yield request.messages[-1]["content"]


def endless(_: GenerationRequest) -> Iterable[str]:
    """Write on until cancelled."""
    while True:
        time.sleep(0.005)
        yield "x"


class ScriptedEngine(Engine):
    """Runs ``script`` for every request, in a thread. A token is a piece of a reply, or a character of a prompt.

    Attributes:
        requests: every request so far.
        cancelled: those of them whose script was cut short because the reader cancelled.
        busy: what it says of its load.
    """

    def __init__(self, script: Script = echo, info: EngineInfo = INFO) -> None:
        super().__init__()
        self.script = script
        self.info = info
        self.requests: list[GenerationRequest] = []
        self.cancelled: list[GenerationRequest] = []
        self.busy = Load(active=0, waiting=0, used_tokens=0, idle_tokens=0, capacity_tokens=0)
        self.closed = False

    def with_info(self, **changes: object) -> "ScriptedEngine":
        """The same with another description of itself."""
        self.info = replace(self.info, **changes)  # type: ignore[arg-type]
        return self

    def build_prompt(self, messages: Sequence[Message], max_new_tokens: int) -> Prompt:
        system, turns = parted(messages)
        room = self.info.context_length - max_new_tokens - sum(len(message["content"]) for message in system)
        starts = [i for i, turn in enumerate(turns) if turn["role"] == "user"]
        for start in starts:
            length = sum(len(turn["content"]) for turn in turns[start:])
            if length <= room or start == starts[-1]:
                return Prompt([0] * length, dropped_messages=start, too_long=length > room)
        raise PromptError("There is no question.")

    def tokenize(self, text: str | Sequence[Message], *, invites: bool = True) -> list[int]:  # noqa: ARG002 no tokens
        texts = [text] if isinstance(text, str) else [message["content"] for message in text]
        return [ord(character) for one in texts for character in one]

    def detokenize(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    def _start(self, request: GenerationRequest, generation: Generation) -> None:
        self.requests.append(request)
        if request.prompt is None:
            prompt = self.build_prompt(request.messages, request.sampling.max_new_tokens)
        else:
            prompt = Prompt([0] * len(request.prompt), dropped_messages=0, too_long=False)
        if prompt.too_long:
            raise PromptError(f"The message is too long: {len(prompt.input_ids)} tokens.")
        threading.Thread(target=self._run, args=(request, prompt, generation), daemon=True).start()

    def load(self) -> Load:
        return self.busy

    def close(self) -> None:
        self.closed = True

    def _run(self, request: GenerationRequest, prompt: Prompt, generation: Generation) -> None:
        began = time.monotonic()
        first: float | None = None
        count = 0
        reason: FinishReason = "stop"
        for step in self.script(request):
            if generation.cancelled:
                self.cancelled.append(request)
                reason = "cancelled"
                break
            match step:
                case str(text):
                    if count == request.sampling.max_new_tokens:
                        reason = "length"
                        break
                    first = first if first is not None else time.monotonic() - began
                    count += 1
                    generation.put(Delta(text))
                case Waiting() | Delta():
                    generation.put(step)
                case EngineError() | Finished():
                    generation.put(step)
                    return
        generation.put(Finished(reason, len(prompt.input_ids), count, time.monotonic() - began, first))
