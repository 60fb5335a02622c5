"""One run of a server: started behind a guard, its log read, ended with all its children."""

import contextlib
import json
import logging
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pydantic import HttpUrl, SecretStr

from components.engine.errors import EngineError

logger = logging.getLogger(__name__)

GUARD = Path(__file__).with_name("guard.py")
LOOPBACK = "127.0.0.1"
GRACE_SECONDS = 5.0
"""How long a server that is asked to end may take."""

MARK = "BAICHUAN_CHAT_STARTED_THIS"
"""An environment variable by which all processes of a run are found, should their guard be killed."""

KEPT_LINES = 200
SHOWN_LINES = 3
LINE_CHARS = 2000
"""Of a server's log: so many last lines are kept, so many of them told in an error, and so much of each."""

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens, for this machine only, and the key that it asks for: both new in each run."""

    port: int
    key: SecretStr

    @property
    def base_url(self) -> HttpUrl:
        """Of its OpenAI API."""
        return HttpUrl(f"http://{LOOPBACK}:{self.port}/v1")

    @classmethod
    def new(cls) -> "Endpoint":
        """A free port, and a key that nobody can guess."""
        with socket.create_server((LOOPBACK, 0)) as listener:
            return cls(listener.getsockname()[1], SecretStr(secrets.token_urlsafe(32)))

    @property
    def is_taken(self) -> bool:
        """Whether something listens there."""
        try:
            socket.create_server((LOOPBACK, self.port)).close()
        except OSError:
            return True
        return False


@dataclass(frozen=True)
class Launch:
    """How to start a server.

    Attributes:
        arguments: the program and its options, which every user of the machine can see.
        environment: what is different from ours; secrets belong here.
        folder: where it finds the programs that it calls, besides where ours are.
    """

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


class Process:
    """A program that was started. It ends with this process, however that ends, and all its children with it."""

    def __init__(self, name: str, launch: Launch, secret: SecretStr | None = None) -> None:
        """Start it.

        Args:
            name: of it, for people.
            launch: how.
            secret: what its log may repeat and ours must not.

        Raises:
            EngineError: the system starts no more processes, or threads.
        """
        self.name = name
        self._secret = secret.get_secret_value() if secret else None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._mark = secrets.token_hex(16)
        content = json.dumps(
            {
                "arguments": list(launch.arguments),
                "environment": {MARK: self._mark, **launch.environment},
                "folder": str(launch.folder) if launch.folder else None,
                "grace": GRACE_SECONDS,
            }
        )
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", str(GUARD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is the application's; and all of them can be ended as one group
            )
        except OSError as error:
            raise EngineError(
                f"{name} cannot be started: {error.strerror}. Free some memory, and try again."
            ) from error
        self._reader = threading.Thread(target=self._read_log, name=f"{name}-log", daemon=True)
        try:
            self._reader.start()
        except RuntimeError as error:
            with self._guard:  # it ends by itself: it was told of no program
                raise EngineError(f"{name} cannot be started: {error}. End other programs, and try again.") from error
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, and how is told below
            self._guard.stdin.write(content.encode() + b"\n")
            self._guard.stdin.flush()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._guard.poll() is None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most so many seconds for its end; whether it has ended, and all of it is gone."""
        try:
            self._guard.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        if self._guard.returncode < 0:  # it was killed, and could kill nobody
            self._kill_marked()
        self._close_pipe()
        self._reader.join(1)
        return True

    def end(self) -> None:
        """End it, and wait until all of it is gone."""
        self._close_pipe()
        if not self.wait(GRACE_SECONDS + 5):
            self._guard.kill()
            self.wait()

    @property
    def failed(self) -> bool:
        """Whether it has ended otherwise than well."""
        return self._guard.returncode != 0

    @property
    def ending(self) -> str:
        """How it has ended, in a few words."""
        code = self._guard.returncode
        number = -code if code < 0 else code - 128
        try:
            return f"signal {number}, {signal.Signals(number).name}"
        except ValueError:
            return f"exit code {code}"

    @property
    def lines(self) -> list[str]:
        """The last lines of its log, the newest at the end."""
        return list(self._lines)

    def _kill_marked(self) -> None:
        """Kill what is left of it: whatever has inherited this run's mark."""
        try:
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    if process.environ().get(MARK) == self._mark:
                        process.kill()
        except OSError as error:  # whoever waits for the end is to hear of it nevertheless
            logger.warning("What is left of %s cannot be looked for: %s", self.name, error)

    def _close_pipe(self) -> None:
        assert self._guard.stdin is not None
        with contextlib.suppress(OSError):
            self._guard.stdin.close()

    def _read_log(self) -> None:
        assert self._guard.stdout is not None
        with self._guard.stdout as stream:
            for raw in iter(lambda: stream.readline(LINE_CHARS), b""):
                text = raw.decode(errors="replace").rstrip().rpartition("\r")[-1]  # of a progress bar, how it ended
                line = _CONTROL.sub("", text)
                line = line.replace(self._secret, "***") if self._secret else line
                self._lines.append(line)
                logger.info("%s: %s", self.name, line)


def last_words(lines: Sequence[str]) -> str:
    """The last lines of a log as a sentence; nothing of a program that has said nothing."""
    said = [line.strip() for line in lines if line.strip()][-SHOWN_LINES:]
    return f"Its last lines: {' / '.join(said)}." if said else ""
