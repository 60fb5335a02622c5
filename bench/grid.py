"""What a grid of the lab takes beside the same replies asked as one batch."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from bench.questions import question
from bench.targets import SAMPLING
from components.chats.asker import Asker
from components.engine.interface import Engine, GenerationRequest
from components.lab.grid import grid_cells
from components.lab.jobs import Jobs
from components.sampling.parameters import SamplingParams
from components.store.database import Database
from components.store.sheets import Axis, Cell, Sheet, new_sheet_id

ACROSS, DOWN = Axis("temperature", (0.3, 0.7, 1.1)), Axis("top_p", (0.5, 0.85, 1.0))
SAMPLES, TOKENS = 2, 64

GRID = f"s of a grid of 3 × 3 with {SAMPLES} samples of {TOKENS} tokens, as one batch and as a sheet of the lab"


def batch_and_sheet(engine: Engine, number: int) -> tuple[float, float]:
    """Seconds of the replies asked all at once, and of the sheet, kept in a database. Who comes first alternates."""
    sampling = SAMPLING.model_copy(update={"max_new_tokens": TOKENS, "ignore_eos": True})
    cells = grid_cells(ACROSS, DOWN, sampling, SAMPLES)
    ways: list[Callable[[str], None]] = [
        lambda asked: _batch(engine, cells, asked),
        lambda asked: _sheet(engine, cells, asked),
    ]
    seconds = [0.0, 0.0]
    for way in (0, 1) if number % 2 == 0 else (1, 0):
        asked = question(way, f"Grid {number} {way}")[0]["content"]
        began = perf_counter()
        ways[way](asked)
        seconds[way] = perf_counter() - began
    return seconds[0], seconds[1]


def _batch(engine: Engine, cells: list[Cell], asked: str) -> None:
    requests = [
        GenerationRequest([{"role": "user", "content": asked}], SamplingParams.model_validate(cell.sampling), "batch")
        for cell in cells
        for _ in cell.samples
    ]
    with ThreadPoolExecutor(len(requests)) as pool:
        list(pool.map(lambda generation: list(generation)[-1], [engine.generate(one) for one in requests]))


def _sheet(engine: Engine, cells: list[Cell], asked: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        jobs = Jobs(Database(f"sqlite:///{Path(folder) / 'chats.db'}"))
        sheet = Sheet(new_sheet_id(), "reader", "grid", asked, cells, axes=(ACROSS, DOWN))
        jobs.start(engine, Asker("reader", "sheet"), sheet)
        writing = jobs.find(sheet.id)
        while writing is not None and not writing.wait_for_end(1.0):
            pass
        jobs.close()
        jobs.database.close()
