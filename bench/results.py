"""What one run measured, and its file."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.busy import Busy
from bench.card import Card, Loading
from bench.clicks import Click
from bench.conversations import Action
from bench.estimates import Wait
from bench.history import LaterTurn
from bench.looking import Look
from bench.machine import Machine
from bench.memory import Peak
from bench.neighbours import Pair
from bench.startup import Start
from bench.storing import Stored
from bench.throughput import Crowd
from bench.websocket import Traffic


@dataclass(frozen=True)
class Setup:
    """What was measured.

    ``dtypes`` says in which type of number each target of this process runs the model, ``seconds`` how long each part
    of the run took.
    """

    model: str
    sampling: str
    rounds: int
    places: int
    kept: int
    dtypes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class Results:
    """Every single measurement; a part that was not run, or has ``failed``, is empty."""

    machine: Machine
    setup: Setup
    crowds: list[Crowd] = field(default_factory=list)
    avx2: list[Crowd] = field(default_factory=list)
    avx2_turns: list[LaterTurn] = field(default_factory=list)
    busy: list[Busy] = field(default_factory=list)
    later_turns: list[LaterTurn] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    peaks: list[Peak] = field(default_factory=list)
    neighbours: list[Pair] = field(default_factory=list)
    traffic: list[Traffic] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    card: Card | None = None
    loading: Loading | None = None
    failed: list[str] = field(default_factory=list)

    @property
    def measurements(self) -> list[list[Any]]:
        """Those of each kind."""
        return [value for name, value in vars(self).items() if isinstance(value, list) and name != "failed"]

    def save(self, file: Path) -> None:
        """Write everything as JSON."""
        file.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")
