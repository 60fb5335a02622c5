"""What the lab's page draws of sheets, in memory; the browser's tests handle it as readers do."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

from components.chats.asker import Asker
from components.lab.diversity import Scored, diversity
from components.lab.jobs import Jobs
from components.sampling.parameters import SamplingParams
from components.store.errors import StoreError
from components.store.sheets import Axis, Cell, Sample, Sheet, Sheets, new_sheet_id
from components.ui.lab.state import VIEW
from components.ui.texts import EN
from tests.chats.helpers import wait_until
from tests.scripted_engine import ScriptedEngine

READER = "browser:me"


def cell(*texts: str, **changes: float) -> Cell:
    """One with samples of these texts."""
    sampling = SamplingParams().model_dump(mode="json") | changes
    return Cell(sampling, [Sample(text, "stop", tokens=len(text.split()), seconds=1.0) for text in texts])


def sheet(cells: list[Cell], kind: Any = "compare", **changes: Any) -> Sheet:
    return Sheet(new_sheet_id(), READER, kind, "Why?", cells, **{"end": "done", **changes})


def drawn(script: Callable[..., None], **arguments: Any) -> AppTest:
    page = AppTest.from_function(script, default_timeout=60, kwargs=arguments).run()
    assert not page.exception
    return page


# Columns


def columns(jobs: "Jobs", sheet: "Sheet") -> None:
    from components.ui.lab.columns import draw_columns
    from components.ui.texts import EN

    draw_columns(jobs, sheet, EN)


THREE = [cell("the cat sat", temperature=0.1), cell("the dog sat", temperature=0.5), cell("the dog ran", top_k=9)]


def marked(page: AppTest) -> list[list[str]]:
    """What is marked in each column."""
    bodies = [one.proto.body for one in page.get("html") if one.proto.body.startswith('<div class="lab-reply"')]
    return [re.findall("<mark>(.*?)</mark>", body) for body in bodies]


def captions(page: AppTest) -> str:
    return "\n".join(caption.value for caption in page.caption)


def test_what_differs_from_the_column_that_is_chosen_is_marked(jobs: Jobs) -> None:
    page = drawn(columns, jobs=jobs, sheet=sheet(THREE))
    assert marked(page) == [[], ["dog"], ["dog", "ran"]]
    page.button_group[0].set_value(2).run()
    assert marked(page) == [["cat", "sat"], ["sat"], []]
    assert captions(page).count("differs from C") == 2
    assert "from A" not in captions(page)


def test_without_marks_replies_are_shown_as_in_the_chat(jobs: Jobs) -> None:
    page = drawn(columns, jobs=jobs, sheet=sheet([cell("**bold** cat"), cell("**bold** dog")]))
    assert marked(page)
    page.toggle(key="lab_mark").set_value(False).run()
    assert marked(page) == []
    assert {"**bold** cat", "**bold** dog"} <= {text.value for text in page.markdown}
    assert "differs" not in captions(page)


def test_each_column_says_what_is_set_there_alone(jobs: Jobs) -> None:
    page = drawn(columns, jobs=jobs, sheet=sheet(THREE))
    temperature, top_k = (SamplingParams().temperature, SamplingParams().top_k)
    for value, k in ((0.1, top_k), (0.5, top_k), (temperature, 9)):
        assert f"{EN.labels['temperature']} {value:g} · {EN.labels['top_k']} {k:g}" in captions(page)
    assert EN.labels["top_p"] not in captions(page)


def test_a_reply_that_failed_or_was_not_written_says_so(jobs: Jobs) -> None:
    sampling = SamplingParams().model_dump(mode="json")
    samples = [Sample("", "failed", "The device is <b>lost</b>."), Sample("", "cancelled"), Sample("", "stop")]
    page = drawn(columns, jobs=jobs, sheet=sheet([Cell(sampling, [one]) for one in samples], end="cancelled"))
    assert [warning.value for warning in page.warning] == [EN.errors["other"]]
    assert "The device is <b>lost</b>." in captions(page)
    assert captions(page).count(EN.lab.stopped_sample) == 1
    assert captions(page).count(EN.empty) == 1


# The heat map


def grid(jobs: "Jobs", sheet: "Sheet") -> None:
    from components.ui.lab.heat_map import draw_grid
    from components.ui.texts import EN

    draw_grid(jobs, sheet, EN)


def growing(sheets: "list[Sheet]") -> None:
    from components.ui.lab.heat_map import growing_grid
    from components.ui.texts import EN

    show = growing_grid(EN)
    for sheet in sheets:
        show(sheet)


AXES = (Axis("temperature", (0.2, 0.9)), Axis("top_p", (0.5, 1.0)))
SAMPLES = [("a a a a a a", "a a"), ("a b c", "a b c"), ("one two", "three four five"), ("x y z", "z y x w v")]


def cells(samples: Sequence[Sequence[str]]) -> list[Cell]:
    settings = [(t, p) for p in AXES[1].values for t in AXES[0].values]
    return [cell(*texts, temperature=t, top_p=p) for texts, (t, p) in zip(samples, settings, strict=True)]


def heat(page: AppTest) -> list[dict[str, Any]]:
    """What the map shows, cell by cell."""
    [chart] = page.get("vega_lite_chart")
    [data] = chart.proto.datasets
    rows: list[dict[str, Any]] = convert_arrow_bytes_to_pandas_df(data.data.data).to_dict("records")
    return rows


@pytest.mark.parametrize("metric", ["distinct_1", "distinct_2", "overlap", "length", "repetition"])
def test_the_heat_map_shows_the_figure_that_is_chosen(jobs: Jobs, metric: str) -> None:
    page = drawn(grid, jobs=jobs, sheet=sheet(cells(SAMPLES), "grid", axes=AXES))
    page.selectbox(key="lab_metric").set_value(metric).run()
    rows = heat(page)
    assert [(row["x"], row["y"]) for row in rows] == [("0.2", "0.5"), ("0.9", "0.5"), ("0.2", "1"), ("0.9", "1")]
    for row, texts in zip(rows, SAMPLES, strict=True):
        value = getattr(diversity([Scored(text, len(text.split())) for text in texts]), metric)
        assert row["value"] == pytest.approx(value, nan_ok=True) if value is not None else row["told"] == ""
    assert EN.lab.metric_help[metric] in captions(page)


def test_the_map_grows_with_every_sample_that_ends() -> None:
    unfinished = Cell(cells(SAMPLES)[3].sampling, [Sample(), Sample()])
    part = sheet([*cells(SAMPLES)[:3], unfinished], "grid", axes=AXES, end=None)
    whole = sheet(cells(SAMPLES), "grid", axes=AXES, end=None)
    assert [row["told"] == "" for row in heat(drawn(growing, sheets=[part]))] == [False, False, False, True]
    assert [row["told"] == "" for row in heat(drawn(growing, sheets=[part, whole]))] == [False] * 4


def test_the_cell_to_read_is_the_one_that_the_list_names(jobs: Jobs) -> None:
    page = drawn(grid, jobs=jobs, sheet=(one := sheet(cells(SAMPLES), "grid", axes=AXES)))
    for number, texts in enumerate(SAMPLES):
        page.selectbox(key=f"lab_cell_{one.id}").set_value(number).run()
        shown = [text.value for text in page.markdown]
        assert [text for text in shown if text in [text for texts in SAMPLES for text in texts]] == list(texts)


# A sheet


def one_sheet(jobs: "Jobs", sheet: str) -> None:
    from components.chats.asker import Asker
    from components.ui.lab.sheet import draw_sheet
    from components.ui.texts import EN

    draw_sheet(jobs, Asker("browser:me", "visitor"), jobs.get("browser:me", sheet), EN)


@pytest.mark.parametrize("kind", ["compare", "grid"])
def test_a_sheet_that_ended_and_is_not_kept_says_so(
    jobs: Jobs, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    go_on = threading.Event()
    engine.script = lambda _: [str(go_on.wait(60))]
    one = sheet([Cell(made.sampling, [Sample()]) for made in cells(SAMPLES)], kind, axes=AXES, end=None)
    jobs.start(engine, Asker(READER, "visitor"), one)
    with monkeypatch.context() as away:
        away.setattr(jobs.database, "_transaction", refuse)
        go_on.set()
        page = drawn(one_sheet, jobs=jobs, sheet=one.id)
        assert [warning.value for warning in page.warning] == [f"{EN.not_kept} The disk is full."]
    wait_until(lambda: jobs.find(one.id) is None)
    assert not drawn(one_sheet, jobs=jobs, sheet=one.id).warning


def refuse(**_: object) -> Iterator[None]:
    time.sleep(0.5)  # that a database is away is not known at once
    raise StoreError("The disk is full.")


# The list of sheets


def listing(jobs: "Jobs", reader: str) -> None:
    from components.chats.asker import Asker
    from components.ui.lab.listing import draw_sheets
    from components.ui.texts import EN

    draw_sheets(jobs, Asker(reader, "visitor"), EN)


def test_sheets_are_listed_opened_and_deleted(jobs: Jobs) -> None:
    old = sheet(THREE, created=1.0)
    new = sheet(cells(SAMPLES), "grid", axes=AXES, created=2.0)
    with jobs.database.writing() as connection:
        for one in (old, new):
            Sheets(connection, READER).add(one)
    page = drawn(listing, jobs=jobs, reader=READER)
    kinds = [caption.value.split(" · ")[0] for caption in page.caption]
    assert kinds == [EN.lab.views["grid"], EN.lab.views["compare"]]
    page.button(key=f"lab_open_{old.id}").click().run()
    assert (page.query_params["sheet"], page.session_state[VIEW]) == (old.id, "compare")
    page.button(key=f"lab_delete_{new.id}").click().run()
    assert [entry.id for entry in jobs.list(READER)] == [old.id]
    assert page.query_params["sheet"] == old.id, "another one is open"
    page.button(key=f"lab_delete_{old.id}").click().run()
    assert "sheet" not in page.query_params
    assert EN.lab.none_yet in captions(page)


def test_nobody_sees_anothers_sheets(jobs: Jobs) -> None:
    with jobs.database.writing() as connection:
        Sheets(connection, READER).add(sheet(THREE))
    page = drawn(listing, jobs=jobs, reader="browser:another")
    assert captions(page) == EN.lab.none_yet
    assert not page.button
