"""What is said of a file that cannot be brought in, or of a part of it: codes, which the page has in its languages."""

from dataclasses import dataclass, replace
from typing import Literal

ImportProblem = Literal[
    "unknown",
    "empty",
    "no_json",
    "nested",
    "encoding",
    "packed",
    "unpacked_size",
    "files",
    "values",
    "conversations",
    "messages",
    "later_version",
    "version",
    "missing",
    "wrong_value",
    "no_list",
    "no_object",
    "role",
    "no_text",
    "same_id",
    "no_parent",
    "circle",
    "preset",
    "presets",
]
"""What can be wrong. ``components.ui.texts`` has a sentence for each, with the details of the error filled in."""

LONGEST_STEP = 80
"""Of a name in a place, in characters: a file may have any."""


@dataclass(frozen=True)
class Place:
    """Where in a file something stands.

    Attributes:
        file: of a ZIP file, which of its files; empty otherwise.
        line: of a file with a value in each line; 0 otherwise.
        conversation: of a list of them, which one, from 1 on; 0 otherwise.
        path: what leads there from that, as JavaScript writes it: ``messages[0].role``.
    """

    file: str = ""
    line: int = 0
    conversation: int = 0
    path: str = ""

    def at(self, *steps: str | int) -> "Place":
        """A place within this one."""
        path = self.path
        for step in steps:
            path += f"[{step}]" if isinstance(step, int) else f"{'.' if path else ''}{step[:LONGEST_STEP]}"
        return replace(self, path=path)


class ImportFileError(Exception):
    """A file is not one of conversations, or something in it cannot be read.

    Attributes:
        problem: what is wrong.
        place: where.
        details: what is filled into the sentence about it.
    """

    def __init__(self, problem: ImportProblem, place: Place | None = None, **details: str | int) -> None:
        self.problem: ImportProblem = problem
        self.place = place or Place()
        self.details = details
        super().__init__(f"{problem} at {self.place}: {details}")
