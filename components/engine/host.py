"""One engine per process, loaded once in the background, however many pages and requests ask for it meanwhile.

Loading takes from seconds (the demo model) to minutes (7B weights from a slow disk); callers can see how far it is
instead of hanging.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from components.checkpoints.locate import find_checkpoint
from components.engine.errors import EngineNotReadyError
from components.engine.interface import Engine, Stage
from components.engine.line.limits import limits_of
from components.engine.watching.recorder import Recorder
from components.settings import Settings, get_settings

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 15.0

LoadEngine = Callable[[Callable[[Stage], None]], Engine]
"""Builds the engine and calls its argument as each stage begins."""


@dataclass(frozen=True)
class Loading:
    """Not ready yet. ``since`` is when loading began, on the ``time.monotonic`` clock."""

    stage: Stage
    since: float


@dataclass(frozen=True)
class Failed:
    """The model could not be loaded; ``message`` says why and what to do."""

    message: str


@dataclass(frozen=True)
class Ready:
    """The model answers. ``seconds`` is how long loading took."""

    engine: Engine
    seconds: float


State = Loading | Failed | Ready


class EngineHost:
    """Loads an engine in a thread of its own and says how that is going.

    Attributes:
        recorder: the engine's last half hour; None before there is an engine.
    """

    def __init__(self, load: LoadEngine) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._settled = threading.Event()
        self._state: State = Loading("libraries", time.monotonic())
        self.recorder: Recorder | None = None
        self.start()

    @property
    def state(self) -> State:
        """Loading, ready, or failed."""
        return self._state

    def start(self) -> None:
        """Begin to load. Called again after a failure, it tries once more; otherwise it does nothing."""
        with self._lock:
            if isinstance(self._state, Ready) or (self._thread_alive() and not self._settled.is_set()):
                return
            self._settled.clear()
            self._state = Loading("libraries", time.monotonic())
            self._thread = threading.Thread(target=self._run, name="load-engine", daemon=True)
            self._thread.start()

    def wait(self, timeout: float | None = None) -> Engine:
        """The engine, after at most ``timeout`` seconds.

        Raises:
            EngineNotReadyError: it still loads, or could not be loaded.
        """
        self._settled.wait(timeout)
        match self._state:
            case Ready(engine):
                return engine
            case Failed(message):
                raise EngineNotReadyError(message)
            case Loading(_, since):
                raise EngineNotReadyError(
                    f"The model is still loading ({time.monotonic() - since:.0f} s so far). Try again shortly."
                )

    def close(self) -> None:
        """End the engine, if there is one. A device that does not answer is not waited for any longer."""
        if isinstance(self._state, Ready):
            ending = threading.Thread(target=self._state.engine.close, name="close-engine", daemon=True)
            ending.start()
            ending.join(CLOSE_SECONDS)

    def _thread_alive(self) -> bool:
        return hasattr(self, "_thread") and self._thread.is_alive()

    def _run(self) -> None:
        began = time.monotonic()

        def on_stage(stage: Stage) -> None:
            logger.info("Loading the model: %s", stage)
            self._state = Loading(stage, began)

        try:
            engine = self._load(on_stage)
        except Exception as error:  # the edge of the loader's thread: nothing above could report it
            logger.exception("The model could not be loaded")
            self._state = Failed(str(error) or type(error).__name__)
        else:
            seconds = time.monotonic() - began
            logger.info("Ready after %.1f s: %s", seconds, engine.info)
            self.recorder = Recorder(engine)
            self._state = Ready(engine, seconds)
        self._settled.set()


_host: EngineHost | None = None
_host_lock = threading.Lock()


def engine_host() -> EngineHost:
    """The process's one engine host. The first call starts loading; every caller gets the same object.

    It lives here and not in one of Streamlit's caches, which any browser could have emptied.
    """
    global _host
    with _host_lock:
        if _host is None:
            _host = EngineHost(_load)
        return _host


def _load(on_stage: Callable[[Stage], None]) -> Engine:
    settings = get_settings()
    engine = _choose_engine(settings, on_stage)
    engine.limits = limits_of(settings)
    engine.activity.log_prompts = settings.log_prompts
    return engine


def _choose_engine(settings: Settings, on_stage: Callable[[Stage], None]) -> Engine:
    if settings.engine == "openai":
        from components.engine.remote.connecting import connect

        return connect(settings, on_stage)
    if settings.engine == "vllm":
        from components.engine.sidecar.vllm.loading import load_vllm

        return load_vllm(settings, on_stage)
    checkpoint = find_checkpoint(settings)
    if checkpoint.is_gguf:
        from components.engine.sidecar.llama_cpp import load_llama_cpp

        return load_llama_cpp(checkpoint, settings, on_stage)
    from components.engine.local.loading import load_engine  # imports torch, which takes seconds: not in the caller

    return load_engine(on_stage)
