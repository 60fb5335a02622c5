"""Between the application and a server that it starts: sees to it that nothing of the server outlives either of them.

Run as a program of its own, in a session of its own, with what to start as one line of JSON on standard input. Then it
waits for the end of that pipe, which the system closes with the application, however that ends. It imports nothing of
the application, so that it starts at once.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys
import threading
import time

import psutil

SET_DEATH_SIGNAL, SET_SUBREAPER = 1, 36
"""For Linux's prctl: a signal with which a process follows its parent; and whose children orphans become."""

CANNOT_START = 127
"""What shells exit with when there is no such program."""


def main() -> int:
    """Run the server until it ends or the application does; return its exit code, 128 and more for a signal."""
    line = sys.stdin.buffer.readline()
    if not line:
        return 0  # the application has ended already
    launch = json.loads(line)
    _control(SET_SUBREAPER, 1)
    server = os.fork()
    if server == 0:
        _become(launch["arguments"], launch["environment"], launch["folder"])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the pipe alone says when to end
    threading.Thread(target=_end_with_parent, args=(server, launch["grace"]), daemon=True).start()
    status = _wait(server)
    _kill_rest()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become(arguments: list[str], environment: dict[str, str], folder: str | None) -> None:
    """In the child: turn into the server. Does not return."""
    try:
        _control(SET_DEATH_SIGNAL, signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        path = os.pathsep.join(filter(None, (folder, os.environ.get("PATH"))))
        os.execvpe(arguments[0], arguments, os.environ | {"PATH": path} | environment)
    except OSError as error:
        print(f"{arguments[0]} cannot be started: {error.strerror}", flush=True)
    finally:
        os._exit(CANNOT_START)


def _end_with_parent(server: int, grace: float) -> None:
    """Once the pipe has ended, end the server, which has ``grace`` seconds to do so by itself."""
    while os.read(0, 1024):
        pass
    os.kill(server, signal.SIGTERM)
    time.sleep(grace)
    os.kill(server, signal.SIGKILL)


def _wait(server: int) -> int:
    """Wait for the server's end, and take note of orphans' ends meanwhile."""
    while True:
        process, status = os.waitpid(-1, 0)
        if process == server:
            return status


def _kill_rest() -> None:
    """Kill what the server has left behind, and what is born meanwhile."""
    while children := psutil.Process().children(recursive=True):
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children)


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":  # elsewhere the end of the pipe must do
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
