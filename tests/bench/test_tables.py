"""The page says what was measured, and whether it is enough."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.busy import Busy
from bench.clicks import MOVE_LENGTH, OPEN, Click
from bench.conversation_tables import conversations_page
from bench.conversations import Action
from bench.goals import conversation_goals, engine_goals
from bench.grid import GRID
from bench.history import LaterTurn
from bench.kept_scores import step_with_scores
from bench.llama_cpp import ALONE, BEHIND
from bench.loading import IN_FLOAT32
from bench.machine import AVX2, AVX512, describe_machine
from bench.neighbours import FAIRNESS, Pair, seeds
from bench.page import table
from bench.plots import PLOTS, draw
from bench.results import Results, Setup
from bench.startup import CLASSES, IMPORTS, SERVER, Start
from bench.storing import Stored
from bench.tables import engine_page
from bench.targets import APPLICATION, PLAIN, Answer
from bench.throughput import Crowd
from bench.websocket import APPLICATION_PAGE, Traffic


def crowd(target: str, round: int, users: int, seconds: float) -> Crowd:
    answer = Answer("text", tokens=60, prompt_tokens=9, first=0.1, seconds=seconds)
    return Crowd(target, round, users, 64, seconds, (answer,) * users)


@pytest.fixture
def results() -> Results:
    """One reader is served 5 times as fast as by the plain loop, eight 10 times; the machine slows down to half."""
    return Results(
        describe_machine(),
        Setup("tiny", "temperature 0.3", rounds=2, places=4, kept=1000, seconds={"start": 77.2, "avx2": 180.0}),
        crowds=[
            *(crowd(PLAIN, 0, 1, 5.0), crowd(APPLICATION, 0, 1, 1.0)),
            *(crowd(APPLICATION, 1, 1, 2.0), crowd(PLAIN, 1, 1, 10.0)),
            *(crowd(PLAIN, 0, 8, 40.0), crowd(APPLICATION, 0, 8, 4.0)),
            *(crowd(ALONE, 0, 8, 4.8), crowd(BEHIND, 0, 8, 5.0)),
        ],
        avx2=[
            *(crowd(PLAIN, 0, 1, 6.0), crowd(IN_FLOAT32, 0, 1, 3.0)),
            *(crowd(APPLICATION, 0, 1, 1.5), crowd(ALONE, 0, 1, 1.2)),
        ],
        busy=[
            *(Busy(0, 1, 2, quiet=50.0, spinning=51.0, beside=12.0), Busy(1, 1, 2, 40.0, 50.0, 12.0)),
            Busy(0, 8, 2, quiet=180.0, spinning=200.0, beside=90.0),
        ],
        later_turns=[
            LaterTurn(target, 0, history, 50 + history, first)
            for target, history, first in (
                (PLAIN, 0, 0.1),
                (PLAIN, 1400, 3.0),
                (APPLICATION, 0, 0.05),
                (APPLICATION, 1400, 0.06),
            )
        ]
        + [
            LaterTurn(PLAIN, 0, 1400, 1450, 3.0, is_known=False),
            LaterTurn(APPLICATION, 0, 1400, 1450, 1.45, is_known=False),
        ],
        avx2_turns=[
            LaterTurn(target, 0, 1400, 1450, first, is_known=False)
            for target, first in ((PLAIN, 5.0), (IN_FLOAT32, 4.0), (APPLICATION, 3.0))
        ],
        starts=[Start(IMPORTS, 2.0), Start(CLASSES, 4.0), Start(SERVER, 5.0)],
        neighbours=[
            *(Pair(seeds(1), 0, 100.0, 80.0), Pair(seeds(8), 0, 300.0, 240.0), Pair(seeds(8), 1, 200.0, 80.0)),
            Pair(FAIRNESS, 0, 0.05, 0.2),
            *(Pair(GRID, 0, 10.0, 12.0), Pair(GRID, 1, 10.0, 12.5)),
            *(Pair(step_with_scores(1), 0, 10.0, 10.2), Pair(step_with_scores(8), 0, 50.0, 52.0)),
        ],
        traffic=[
            Traffic(APPLICATION_PAGE, "prose", 500, reply=1000, payload=20_000, wire=5_000),
            Traffic(APPLICATION_PAGE, "prose", 2000, reply=4000, payload=80_000, wire=12_000),
        ],
        actions=[
            *(Action("SQLite", "listing", seconds / 1000) for seconds in range(101)),
            *(Action("SQLite", "sending", seconds / 500) for seconds in range(101)),
            Action("PostgreSQL", "listing", 0.01),
        ],
        stored=[
            *(
                Stored("SQLite", 0, 200.0, 190.0, 10.0, 0.2, 0.1, 20),
                Stored("SQLite", 1, 100.0, 80.0, 10.0, 0.4, 0.2, 10),
            ),
            Stored("PostgreSQL", 0, 100.0, 100.0, 10.0, 1.0, 0.6, 10),
        ],
        clicks=[
            *(Click(OPEN, 10, 0.2, 20, 1000), Click(OPEN, 1000, 0.5, 20, 3000), Click(OPEN, 1000, 1.7, 20, 5000)),
            Click(MOVE_LENGTH, 10, 0.25, 17, 1000),
        ],
    )


def rows_of(text: str, heading: str) -> list[list[str]]:
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return rows[2:]


def test_speeds_stand_beside_the_plain_loops(results: Results) -> None:
    rows = rows_of(engine_page(results), "Many readers at once")

    assert [(row[0], row[1], row[2], row[3]) for row in rows] == [
        ("1", PLAIN, "9.0", "1.00"),
        ("1", APPLICATION, "45.0", "5.00"),
        ("8", PLAIN, "12.0", "1.00"),
        ("8", APPLICATION, "120.0", "10.00"),
        ("8", ALONE, "100.0", "8.33"),
        ("8", BEHIND, "96.0", "8.00"),
    ]
    assert [row[4] for row in rows] == ["", "", "0.12", "1.20", "1.00", "0.96"], "of llama.cpp"
    assert rows[3][-1] == "8 of 8", "replies of 60 tokens were cut short of 64"


def test_a_lesser_cpu_stands_apart(results: Results) -> None:
    rows = rows_of(engine_page(results), "With AVX2 only")

    assert [(row[1], row[2], row[4]) for row in rows[:4]] == [
        (PLAIN, "10.0", "0.20"),
        (IN_FLOAT32, "20.0", "0.40"),
        (APPLICATION, "40.0", "0.80"),
        (ALONE, "50.0", "1.00"),
    ]
    assert ["1450", APPLICATION, "3.000", "483", "1.7"] in rows[4:]


@pytest.mark.parametrize(
    ("has_avx512", "said"), [(False, "nothing need be done for it"), (True, "ratios to it are lower bounds")]
)
def test_what_llama_cpp_does_on_the_lesser_cpu_is_said(results: Results, has_avx512: bool, said: str) -> None:
    results.machine = replace(results.machine, llama_cpp_has_avx512=has_avx512)

    assert said in engine_page(results)


def test_a_cpu_that_has_no_more_is_not_measured_twice(results: Results) -> None:
    results.avx2, results.avx2_turns = [], []
    results.machine = replace(results.machine, vectors=AVX2)
    assert "This CPU has no more than AVX2" in engine_page(results)

    results.machine = replace(results.machine, vectors=AVX512)
    assert "AVX2 only" not in engine_page(results)


def test_what_other_programs_leave_stands_beside_the_quiet_machines(results: Results) -> None:
    assert rows_of(engine_page(results), "Beside other programs") == [
        ["1", "45.0", "12.0", "0.27", "50.5", "0.89"],
        ["8", "180.0", "90.0", "0.50", "200.0", "0.90"],
    ]


def test_how_long_each_part_took_is_said(results: Results) -> None:
    for page in (engine_page(results), conversations_page(results)):
        assert "- Took 4 minutes; in seconds: start 77, avx2 180\n" in page


def test_first_texts_stand_beside_a_fresh_prompts_and_the_plain_loops(results: Results) -> None:
    rows = {(row[0], row[1]): row[2:] for row in rows_of(engine_page(results), "First text of a later turn")}

    assert rows["1400", APPLICATION] == ["1450", "0.060", "1.20", "50.0"]
    assert rows["1400", PLAIN] == ["1450", "3.000", "30.00", "1.0"]


def test_prompts_that_are_new_stand_apart(results: Results) -> None:
    assert rows_of(engine_page(results), "First text of a new prompt") == [
        ["1450", PLAIN, "3.000", "483", "1.0"],
        ["1450", APPLICATION, "1.450", "1000", "2.1"],
    ]


def test_what_readers_cost_each_other_stands_beside_what_they_get_without(results: Results) -> None:
    rows = rows_of(engine_page(results), "What readers cost each other")

    assert rows[1] == [seeds(8), "250", "160", "0.60"]
    assert rows[2] == [FAIRNESS, "0.05", "0.2", "4.00"]


def test_what_readers_do_stands_under_each_database(results: Results) -> None:
    assert rows_of(conversations_page(results), "The database") == [
        ["listing", "SQLite", "101", "50.0", "95.0", "100.0"],
        ["listing", "PostgreSQL", "1", "10.0", "10.0", "10.0"],
        ["sending", "SQLite", "101", "100.0", "190.0", "200.0"],
    ]


def test_what_is_kept_stands_beside_what_is_not(results: Results) -> None:
    assert rows_of(conversations_page(results), "Replies that grow") == [
        ["SQLite", "150.0", "135.0", "0.88", "1.5 %", "3.0 %", "25.0"],
        ["PostgreSQL", "100.0", "100.0", "1.00", "6.0 %", "10.0 %", "100.0"],
    ]


def test_clicks_stand_by_the_length_of_the_conversation(results: Results) -> None:
    assert rows_of(conversations_page(results), "Clicks") == [
        [OPEN, "10", "1", "200", "1,020"],
        [OPEN, "1,000", "2", "1100", "4,020"],
        [MOVE_LENGTH, "10", "1", "250", "1,017"],
    ]


def test_goals_are_judged_one_by_one(results: Results) -> None:
    judged = [(goal.reached, goal.met) for goal in (*engine_goals(results), *conversation_goals(results))]

    assert judged == [
        ("5.0", True),
        ("10.0", False),
        *(("1.20", True), ("0.96", True)),
        *(("0.80", False), ("2.00", False), ("0.75", True)),
        *(("0.27", True), ("0.89", False), ("0.50", True), ("0.90", True)),
        ("0.060", True),
        ("1.20", True),
        ("1.25", True),
        ("1.67", False),
        ("2.0 %", True),
        ("4.0 %", False),
        ("1.23", True),
        ("5.0", True),
        ("0.60", True),
        ("2.50", False),
        ("1.25", True),
        ("0.190", False),
        ("0.010", True),
        ("1.5 %", True),
        ("6.0 %", False),
        ("1.10", False),
    ]


def test_a_part_that_was_not_run_is_left_out(results: Results) -> None:
    for part in (results.crowds, results.avx2, results.avx2_turns, results.busy, results.traffic, results.later_turns):
        part.clear()
    text = engine_page(results)

    assert "Many readers" not in text
    assert "AVX2 only" not in text
    assert "Beside other programs" not in text
    assert "new prompt" not in text
    assert "WebSocket" not in text
    assert "## Start" in text


def test_a_table_is_markdown() -> None:
    assert table(["a", "b"], [("x --- y", 1)]) == "| a | b |\n|---|---:|\n| x --- y | 1 |"


def test_every_plot_that_the_page_shows_is_drawn(results: Results, tmp_path: Path) -> None:
    draw(results, tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.png" for name in PLOTS}
    for name in PLOTS:
        assert f"({name}.png)" in engine_page(results)
