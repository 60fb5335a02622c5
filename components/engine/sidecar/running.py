"""Programs that do one thing and end: their log is in ours, and they end with this application."""

from collections.abc import Callable, Sequence

from components.engine.errors import EngineError
from components.engine.sidecar.process import Launch, Process


def run(name: str, arguments: Sequence[str], describe: Callable[[Process], str]) -> None:
    """Run a program to its end.

    Args:
        name: what it does, for the log.
        arguments: the program and its options.
        describe: says for people what has gone wrong, and what to do.

    Raises:
        EngineError: it has failed.
    """
    process = Process(name, Launch(arguments))
    try:
        process.wait()
    except BaseException:
        process.end()
        raise
    if process.failed:
        raise EngineError(describe(process))
