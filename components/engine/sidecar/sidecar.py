"""A server that this application starts, waits for, watches, starts again after a crash, and ends."""

import http.client
import logging
import threading
import time
from collections.abc import Callable, Sequence

from components.engine.errors import EngineError
from components.engine.sidecar.process import LOOPBACK, Endpoint, Launch, Process, last_words

logger = logging.getLogger(__name__)

PAUSES = (0.0, 2.0, 10.0, 30.0)
"""Seconds before each new start of a server that has crashed. If it then crashes once more, that is the end."""

STEADY_SECONDS = 300.0
"""Who has served for so long may crash as often again."""

POLL_SECONDS = 0.05
ANSWER_SECONDS = 2.0
PORTS = 3
"""So many ports are tried when somebody else took the one before."""


def answers(endpoint: Endpoint, path: str = "/health") -> bool:
    """Whether the server there says of itself that it is ready: llama.cpp and vLLM do so at this path."""
    connection = http.client.HTTPConnection(LOOPBACK, endpoint.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {endpoint.key.get_secret_value()}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def advise(_: Sequence[str]) -> str:
    """What to do about a server that has failed, if nothing better is known."""
    return "The log says more; start the application again once that is corrected."


class Sidecar:
    """Keeps one server running. All methods may be called from any thread."""

    def __init__(
        self,
        name: str,
        command: Callable[[Endpoint], Launch],
        ready: Callable[[Endpoint], bool] = answers,
        *,
        patience: float,
        advice: Callable[[Sequence[str]], str] = advise,
        quote: Callable[[Sequence[str]], str] = last_words,
        pauses: Sequence[float] = PAUSES,
        again: str = "in a moment",
    ) -> None:
        """Describe the server; nothing is started yet.

        Args:
            name: of the server, for people.
            command: how to start it so that it listens at this endpoint and asks for its key.
            ready: whether it answers there. Asked again and again from the start on.
            patience: seconds that it may take until then.
            advice: what people can do about a failure, given the last lines of its log: a sentence or two.
            quote: what of these lines they are told: a sentence, or nothing.
            pauses: as ``PAUSES``.
            again: when it is worth asking again after a crash.
        """
        self.name = name
        self._command = command
        self._ready = ready
        self._patience = patience
        self._advice = advice
        self._quote = quote
        self._pauses = pauses
        self._again = again
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._process: Process | None = None
        self._endpoint: Endpoint | None = None
        self._trouble: str | None = f"{name} has not been started."
        self._has_given_up = False
        self._starts = 0

    @property
    def endpoint(self) -> Endpoint | None:
        """Where it serves; None while it does not."""
        with self._lock:
            return self._endpoint if self._trouble is None else None

    @property
    def trouble(self) -> str | None:
        """Why it does not serve, and what will come of it, for people; None while it serves."""
        return self._trouble

    @property
    def has_given_up(self) -> bool:
        """Whether it will not serve any more, since it crashed too often, or was ended."""
        return self._has_given_up

    @property
    def starts(self) -> int:
        """How often it has got ready."""
        return self._starts

    def start(self) -> Endpoint:
        """Start it, wait until it is ready, and watch it from then on.

        Raises:
            EngineError: it cannot be started, has ended at once, or does not get ready in time.
        """
        process, endpoint = self._launch()
        watch = threading.Thread(target=self._watch, args=(process,), name=f"{self.name}-watch", daemon=True)
        try:
            watch.start()
        except RuntimeError as error:  # the system has no more threads
            self.close()
            raise EngineError(self._not_started(error)) from error
        return endpoint

    def close(self) -> None:
        """End it with all its children, and wait until they are gone. Again, it does nothing."""
        with self._lock:
            self._closed.set()
            self._trouble = f"{self.name} was ended. Start the application again."
            self._has_given_up = True
            process = self._process
        if process is not None:
            process.end()

    def _launch(self) -> tuple[Process, Endpoint]:
        """Start it at a port of its own, and wait until it is ready; raises as ``start`` does, and nothing else."""
        try:
            return self._launch_at_a_free_port()
        except EngineError:
            raise
        except Exception as error:  # the system has no more descriptors, threads or memory: it may have some later
            if self._process is not None:
                self._process.end()
            raise EngineError(self._not_started(error)) from error

    def _launch_at_a_free_port(self) -> tuple[Process, Endpoint]:
        for ports_left in reversed(range(PORTS)):
            endpoint = Endpoint.new()
            launch = self._command(endpoint)
            with self._lock:
                if self._closed.is_set():
                    raise EngineError(f"{self.name} was ended before it was ready.")
                process = self._process = Process(self.name, launch, endpoint.key)
            if self._gets_ready(process, endpoint):
                with self._lock:
                    self._endpoint = endpoint
                    self._starts += 1
                    self._trouble = self._trouble if self._closed.is_set() else None
                logger.info("%s is ready", self.name)
                return process, endpoint
            if not (endpoint.is_taken and ports_left):
                break
        if self._closed.is_set():
            raise EngineError(f"{self.name} was ended before it was ready.")
        raise EngineError(self._describe(process, f"ended before it was ready ({process.ending})"))

    def _gets_ready(self, process: Process, endpoint: Endpoint) -> bool:
        """Wait until it is ready, or has ended.

        Raises:
            EngineError: it is neither in time; it was ended.
        """
        deadline = time.monotonic() + self._patience
        while not process.wait(POLL_SECONDS):
            if self._ready(endpoint) and process.is_running:
                return True
            if time.monotonic() > deadline:
                process.end()
                raise EngineError(self._describe(process, f"was not ready after {self._patience:g} seconds"))
        return False

    def _not_started(self, error: Exception) -> str:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return f"{self.name} cannot be started: {reason}. End other programs, and start the application again."

    def _describe(self, process: Process, what: str) -> str:
        said = self._quote(process.lines)
        return " ".join(filter(None, (f"{self.name} {what}.", said, self._advice(process.lines))))

    def _watch(self, process: Process) -> None:
        """Start it again whenever it crashes, until it has crashed too often or is ended."""
        crashes = 0
        while True:
            began = time.monotonic()
            process.wait()
            crashes = 0 if time.monotonic() - began > STEADY_SECONDS else crashes
            failure = self._describe(process, f"has crashed ({process.ending})")
            restarted = None
            while restarted is None:
                if crashes == len(self._pauses):
                    self._fall(f"{self.name} has crashed again and again, and is not started any more. {failure}", True)
                    return
                again = f"{self.name} has crashed and is being started again. Ask again {self._again}."
                if not self._fall(again) or self._closed.wait(self._pauses[crashes]):
                    return
                logger.warning("%s It is started again.", failure)
                crashes += 1
                try:
                    restarted, _ = self._launch()
                except EngineError as error:
                    failure = str(error)
            process = restarted

    def _fall(self, trouble: str, for_good: bool = False) -> bool:
        """Note that it does not serve; whether that is news, since nobody has ended it."""
        with self._lock:
            if self._closed.is_set():
                return False
            self._trouble = trouble
            self._has_given_up = for_good
        if for_good:
            logger.error("%s", trouble)
        return True
