"""Sheets are written by the server, in turn with others, and are kept with what there is of them."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from components.chats.asker import Asker
from components.engine.errors import LimitError, PromptError, UnsupportedError
from components.engine.events import LEAST_LOGPROB, ChosenToken, Delta
from components.engine.interface import Engine, Generation, GenerationRequest
from components.engine.line.limits import Limits
from components.lab import jobs as module
from components.lab.grid import axis_of, empty_cell, grid_cells
from components.lab.jobs import AlreadyWritingError, Jobs, TooManySheetsError
from components.lab.writing import written
from components.sampling.parameters import SamplingParams
from components.settings import get_settings
from components.store.errors import NotFoundError, StoreError
from components.store.sheets import Sheet, Sheets, new_sheet_id
from tests.chats.helpers import wait_until
from tests.engine.conftest import EngineFactory, make_engine, tiny  # noqa: F401 - fixtures
from tests.scripted_engine import ScriptedEngine, endless

READER = "browser:one"
ASKER = Asker(READER, "visitor")


def grid(samples: int = 2, question: str = "hello", **sampling: object) -> Sheet:
    across, down = axis_of("temperature", "0.3, 0.7 1.1"), axis_of("top_p", "0.5，0.85、1")
    params = SamplingParams.model_validate({"max_new_tokens": 8, **sampling})
    cells = grid_cells(across, down, params, samples)
    return Sheet(new_sheet_id(), READER, "grid", question, cells, axes=[across, down])


def finish(jobs: Jobs, sheet: Sheet) -> Sheet:
    wait_until(lambda: jobs.find(sheet.id) is None, "the sheet does not end")
    return jobs.get(READER, sheet.id)


def test_every_cell_is_asked_with_its_own_values(jobs: Jobs, engine: ScriptedEngine) -> None:
    sheet = grid()
    jobs.start(engine, ASKER, sheet)
    kept = finish(jobs, sheet)

    asked = [(one.sampling.temperature, one.sampling.top_p) for one in engine.requests]
    assert sorted(asked) == sorted((x, y) for x in (0.3, 0.7, 1.1) for y in (0.5, 0.85, 1.0) for _ in range(2))
    assert kept.end == "done"
    assert written(kept) == (18, 18)
    assert {sample.text for cell in kept.cells for sample in cell.samples} == {"You said: hello"}
    assert [(cell.sampling["temperature"], cell.sampling["top_p"]) for cell in kept.cells][:4] == [
        (0.3, 0.5), (0.7, 0.5), (1.1, 0.5), (0.3, 0.85),
    ]  # fmt: skip


def test_what_was_written_before_it_was_stopped_is_kept(jobs: Jobs, engine: ScriptedEngine) -> None:
    engine.script = endless
    sheet = grid(max_new_tokens=10_000)
    jobs.start(engine, ASKER, sheet)
    wait_until(lambda: jobs.get(READER, sheet.id).cells[0].samples[0].text != "")
    jobs.stop(READER, sheet.id)
    kept = finish(jobs, sheet)

    assert kept.end == "cancelled"
    assert kept.cells[0].samples[0].text.startswith("x")
    assert {sample.end for cell in kept.cells for sample in cell.samples} == {"cancelled"}


def test_a_place_is_left_to_others(jobs: Jobs, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAICHUAN_MAX_BATCH", "4")
    get_settings.cache_clear()
    engine.script = endless
    sheet = grid(max_new_tokens=10_000)
    jobs.start(engine, ASKER, sheet)
    wait_until(lambda: len(engine.requests) == 3)
    assert len(engine.activity.running()) == 3
    jobs.stop(READER, sheet.id)
    finish(jobs, sheet)
    assert len(engine.requests) == 3
    get_settings.cache_clear()


def test_who_has_a_share_keeps_a_part_of_it_for_the_chat(jobs: Jobs, engine: ScriptedEngine) -> None:
    engine.limits = Limits(replies_at_once=3)
    engine.script = endless
    sheet = grid(max_new_tokens=10_000)
    jobs.start(engine, replace(ASKER, limited=True), sheet)
    wait_until(lambda: len(engine.requests) == 2)
    with engine.generate(GenerationRequest([{"role": "user", "content": "chat"}], visitor="visitor", limited=True)):
        jobs.stop(READER, sheet.id)
    finish(jobs, sheet)


def test_the_first_sample_of_every_cell_comes_before_the_second_of_any(
    jobs: Jobs, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAICHUAN_MAX_BATCH", "2")
    get_settings.cache_clear()
    jobs.start(engine, ASKER, sheet := replace(grid(2), system="Be brief."))
    finish(jobs, sheet)
    get_settings.cache_clear()
    asked = [(one.sampling.temperature, one.sampling.top_p) for one in engine.requests]
    assert asked[:9] == asked[9:]
    assert len(set(asked)) == 9
    assert all(one.messages[0] == {"role": "system", "content": "Be brief."} for one in engine.requests)


class Sparing(ScriptedEngine):
    """Refuses the first request: its reader has had their share, for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.refused = seconds, 0

    def _start(self, request: GenerationRequest, generation: Generation) -> None:
        if not self.refused:
            self.refused += 1
            raise LimitError("You have had your share.", self.seconds)
        super()._start(request, generation)


def test_who_has_had_a_minutes_share_is_waited_for_and_who_has_had_a_days_is_not(jobs: Jobs) -> None:
    for seconds, ends in ((0.01, {"stop"}), (3600.0, {"stop", "failed"})):
        engine = Sparing(seconds)
        jobs.start(engine, ASKER, sheet := grid(1))
        samples = [sample for cell in finish(jobs, sheet).cells for sample in cell.samples]
        assert engine.refused == 1
        assert {sample.end for sample in samples} == ends
        assert {sample.error for sample in samples if sample.end == "failed"} <= {"You have had your share."}


def test_a_sample_that_fails_in_its_middle_is_not_begun_again(jobs: Jobs, engine: ScriptedEngine) -> None:
    engine.script = lambda _: ["half", PromptError("no more")]
    jobs.start(engine, ASKER, sheet := grid(1))
    samples = [sample for cell in finish(jobs, sheet).cells for sample in cell.samples]
    assert {(sample.text, sample.end, sample.error) for sample in samples} == {("half", "failed", "no more")}
    assert len(engine.requests) == 9


def test_another_process_has_a_sheet_stopped(
    jobs: Jobs, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_SECONDS", 0.05)
    engine.script = endless
    jobs.start(engine, ASKER, sheet := grid(max_new_tokens=10_000))
    wait_until(lambda: len(engine.requests) > 0)
    other = Jobs(jobs.database)
    other.stop(READER, sheet.id)
    assert finish(jobs, sheet).end == "cancelled"


def test_a_server_that_ends_keeps_what_there_is(jobs: Jobs, engine: ScriptedEngine) -> None:
    engine.script = endless
    jobs.start(engine, ASKER, sheet := grid(max_new_tokens=10_000))
    wait_until(lambda: jobs.get(READER, sheet.id).cells[0].samples[0].text != "")
    jobs.close()
    kept = Jobs(jobs.database).get(READER, sheet.id)
    assert kept.end == "cancelled"
    assert kept.cells[0].samples[0].text.startswith("x")


def test_what_cannot_be_kept_is_said_and_kept_later(
    jobs: Jobs, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_SECONDS", 0.05)
    go_on = threading.Event()
    engine.script = lambda _: [str(go_on.wait(60))]
    jobs.start(engine, ASKER, sheet := grid(1))
    with monkeypatch.context() as away:
        away.setattr(jobs.database, "_transaction", refuse)
        writing = jobs.find(sheet.id)
        assert writing is not None
        wait_until(lambda: writing.problem is not None)
        assert "The disk is full." in str(writing.problem)
        go_on.set()
        wait_until(lambda: writing.now().end is not None)
        time.sleep(0.2)
        assert jobs.find(sheet.id) is writing, "it is tried again"
        jobs.stop(READER, sheet.id)
        with pytest.raises(StoreError):  # and not that another one is being written: there is nothing to wait for
            jobs.start(engine, ASKER, grid(1))
    assert finish(jobs, sheet).end == "done"


def refuse(**_: object) -> Iterator[None]:
    raise StoreError("The disk is full.")


def test_log_probabilities_are_summed_over_tokens(jobs: Jobs, engine: ScriptedEngine) -> None:
    engine.script = lambda _: [
        Delta("a", tokens=(ChosenToken(b"a", -1.0),)),
        Delta("b", tokens=(ChosenToken(b"b", -2.0),)),
    ]
    sheet = grid(1)
    jobs.start(engine, ASKER, sheet)
    sample = finish(jobs, sheet).cells[0].samples[0]
    assert (sample.logprob, sample.scored) == (-3.0, 2)


@pytest.mark.parametrize("untold", [None, LEAST_LOGPROB])
def test_a_token_whose_log_probability_is_not_told_is_none_of_those_that_are_summed(
    jobs: Jobs, engine: ScriptedEngine, untold: float | None
) -> None:
    engine.script = lambda _: [
        Delta("a", tokens=(ChosenToken(b"a", untold),)),
        Delta("b", tokens=(ChosenToken(b"b", -2.0),)),
    ]
    sheet = grid(1)
    jobs.start(engine, ASKER, sheet)
    sample = finish(jobs, sheet).cells[0].samples[0]
    assert (sample.text, sample.logprob, sample.scored) == ("ab", -2.0, 1)


def test_a_server_that_tells_no_log_probabilities_still_answers(jobs: Jobs, engine: ScriptedEngine) -> None:
    def refuse(request: GenerationRequest) -> Iterator[str | UnsupportedError]:
        yield UnsupportedError("no logprobs") if request.logprobs is not None else "fine"

    engine.script = refuse
    sheet = grid(1)
    jobs.start(engine, ASKER, sheet)
    kept = finish(jobs, sheet)
    assert {sample.text for cell in kept.cells for sample in cell.samples} == {"fine"}


def test_a_sample_that_fails_says_why_and_the_others_go_on(jobs: Jobs, engine: ScriptedEngine) -> None:
    sheet = grid(1, question="x" * 50_000)
    jobs.start(engine, ASKER, sheet)
    sample = finish(jobs, sheet).cells[-1].samples[0]
    assert (sample.end, sample.error.startswith("The message is too long")) == ("failed", True)


def test_a_reader_has_one_sheet_written_at_a_time(jobs: Jobs, engine: ScriptedEngine) -> None:
    engine.script = endless
    jobs.start(engine, ASKER, sheet := grid(max_new_tokens=10_000))
    with pytest.raises(AlreadyWritingError):
        jobs.start(engine, ASKER, grid())
    jobs.stop(READER, sheet.id)
    finish(jobs, sheet)


def test_there_is_a_most(jobs: Jobs, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SHEETS", 1)
    jobs.start(engine, ASKER, sheet := grid(1))
    finish(jobs, sheet)
    with pytest.raises(TooManySheetsError):
        jobs.start(engine, ASKER, grid(1))


def test_a_sheet_that_is_deleted_stops(jobs: Jobs, engine: ScriptedEngine) -> None:
    engine.script = endless
    jobs.start(engine, ASKER, sheet := grid(max_new_tokens=100_000 // 4))
    wait_until(lambda: len(engine.requests) > 0)
    with jobs.database.writing() as connection:
        Sheets(connection, READER).delete_everything()
    wait_until(lambda: jobs.find(sheet.id) is None)
    wait_until(lambda: not engine.activity.running())
    with pytest.raises(NotFoundError):
        jobs.get(READER, sheet.id)


def test_a_sheet_whose_server_ended_is_cut(jobs: Jobs) -> None:
    old = replace(grid(), changed=1000.0)
    with jobs.database.writing() as connection:
        Sheets(connection, READER).add(old)
    assert jobs.get(READER, old.id).end == "cut"


def test_a_real_model_writes_a_grid(jobs: Jobs, make_engine: EngineFactory) -> None:  # noqa: F811
    engine: Engine = make_engine()
    sheet = grid(temperature=1.0)
    jobs.start(engine, ASKER, sheet)
    kept = finish(jobs, sheet)
    samples = [sample for cell in kept.cells for sample in cell.samples]
    assert all(
        sample.end in ("length", "stop") and sample.scored == sample.tokens + (sample.end == "stop")
        for sample in samples
    )
    assert all(sample.logprob < 0 for sample in samples)
    assert sum(sample.tokens for sample in samples) > 0


def test_a_seed_gives_the_same_sheet_again(jobs: Jobs, make_engine: EngineFactory) -> None:  # noqa: F811
    engine = make_engine()
    cell = empty_cell(SamplingParams(temperature=1.5, top_k=0, top_p=1.0, max_new_tokens=8, seed=7), 3)
    sheets = [Sheet(new_sheet_id(), READER, "compare", "你好", [cell]) for _ in range(2)]
    texts = []
    for sheet in sheets:
        jobs.start(engine, ASKER, sheet)
        texts.append([sample.text for sample in finish(jobs, sheet).cells[0].samples])
    assert texts[0] == texts[1]
    assert len(set(texts[0])) > 1


def test_readers_do_not_see_each_others(jobs: Jobs, engine: ScriptedEngine) -> None:
    jobs.start(engine, ASKER, sheet := grid(1))
    for use in (jobs.get, jobs.stop, jobs.delete):
        with pytest.raises(NotFoundError):
            use("browser:two", sheet.id)
    finish(jobs, sheet)
    assert jobs.list("browser:two") == []


def test_threads_end(jobs: Jobs, engine: ScriptedEngine) -> None:
    jobs.start(engine, ASKER, sheet := grid(1))
    finish(jobs, sheet)
    wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith(("sheet", "sample"))])
