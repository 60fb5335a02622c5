"""Presets on the page: they move the sliders, the next reply uses them, and they are their reader's own."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from streamlit.testing.v1 import AppTest

from components.chats.replies import Replies
from components.sampling.parameters import SamplingParams
from components.sampling.presets import BUILT_IN, check_preset, write_presets
from components.store.schema import presets
from components.ui.texts import EN, ZH
from tests.scripted_engine import ScriptedEngine
from tests.ui.test_page import ask


def choose(page: AppTest, name: str) -> AppTest:
    page.menu_button(key="preset").click_index(options(page).index(name)).run()
    assert not page.exception
    return page


def open_menu(page: AppTest) -> AppTest:
    page.session_state["presets_menu"] = True
    page.run()
    assert not page.exception
    return page


def save(page: AppTest, name: str) -> AppTest:
    open_menu(page).text_input(key="preset_name").set_value(name)
    page.button(key="save_preset").click().run()
    assert not page.exception
    return page


def options(page: AppTest) -> list[str]:
    return page.menu_button(key="preset").options


def shown(page: AppTest) -> str | None:
    """The name of the preset that the button shows."""
    label = page.menu_button(key="preset").label
    return None if label == EN.presets.title else label


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_chosen_preset_moves_the_sliders_and_the_next_reply_uses_it(
    page: AppTest, engine: ScriptedEngine, name: str
) -> None:
    choose(page, EN.presets.built_in[name])
    assert {key: page.slider(key=key).value for key in BUILT_IN[name]} == BUILT_IN[name]
    ask(page, "hello")
    assert engine.requests[0].sampling == SamplingParams.model_validate(dict(BUILT_IN[name]))


def test_a_preset_that_is_chosen_again_counts_again(page: AppTest) -> None:
    choose(page, "Balanced")
    page.slider(key="temperature").set_value(1.9)  # no script run tells the page of it
    choose(page, "Balanced")
    assert page.slider(key="temperature").value == BUILT_IN["balanced"]["temperature"]


def test_ones_own_preset_takes_the_place_of_a_built_in_one_of_its_name(page: AppTest) -> None:
    page.slider(key="top_k").set_value(33)
    save(page, "Precise")
    assert options(page) == ["Balanced", "Creative", "Precise"]
    choose(choose(page, "Balanced"), "Precise")
    assert page.slider(key="top_k").value == 33


def test_the_button_names_a_preset_as_long_as_the_sliders_show_it(page: AppTest) -> None:
    assert shown(page) is None
    assert shown(choose(page, "Balanced")) == "Balanced"
    page.slider(key="min_p").set_value(0.2).run()
    assert shown(page) is None
    page.slider(key="min_p").set_value(0.0).run()
    assert shown(page) == "Balanced"


def test_ones_own_preset_is_kept_for_the_reader_alone(page: AppTest, open_another: Callable[[], AppTest]) -> None:
    page.slider(key="temperature").set_value(1.3)
    page.slider(key="presence_penalty").set_value(-0.5)
    save(page, "  Mine ")
    assert shown(page) == "Mine"
    choose(page, "Precise")

    again = open_another()
    again.session_state["session_reader"] = page.session_state["session_reader"]
    choose(again.run(), "Mine")
    assert (again.slider(key="temperature").value, again.slider(key="presence_penalty").value) == (1.3, -0.5)

    assert "Mine" not in options(open_another().run())


def test_a_preset_is_renamed_and_deleted(page: AppTest) -> None:
    save(page, "Mine")
    page.slider(key="top_k").set_value(99)
    save(page, "Other")
    [field] = [one for one in page.text_input if str(one.key).startswith("preset_new_name_")]
    field.set_value("Mine").run()
    assert page.warning[0].value == EN.presets.taken
    [field] = [one for one in page.text_input if str(one.key).startswith("preset_new_name_")]
    field.set_value("Third").run()
    assert options(page)[3:] == ["Mine", "Third"]
    assert shown(page) == "Third"
    page.button(key="delete_preset").click().run()
    assert not page.exception
    assert options(page)[3:] == ["Mine"]
    assert page.slider(key="top_k").value == 99


def test_without_a_name_nothing_is_saved(page: AppTest) -> None:
    save(page, "  ")
    assert page.warning[0].value == EN.presets.wrong
    assert len(options(page)) == 3


def test_of_more_than_one_may_keep_it_is_said(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.store.presets.MOST_PRESETS", 1)
    assert "One" in options(save(page, "One"))
    save(page, "Two")
    assert page.warning[0].value == EN.presets.too_many
    assert "Two" not in options(page)


def test_what_the_sliders_make_of_a_decimal_is_rounded_when_it_is_saved(page: AppTest, replies: Replies) -> None:
    page.slider(key="temperature").set_value(0.1 + 0.2).run()
    save(page, "Third")
    with replies.database.reading() as connection:
        values = connection.execute(select(presets.c["values"])).scalar_one()
    assert values["temperature"] == 0.3


def test_of_a_file_that_is_no_preset_it_is_said_what_is_wrong(page: AppTest) -> None:
    open_menu(page).file_uploader(key="preset_file").upload("bad.yaml", b"temperature: 99\n", "application/yaml").run()
    assert not page.exception
    assert page.warning[0].value == EN.presets.wrong
    assert "temperature" in page.text[0].value
    assert len(options(page)) == 3


def test_a_preset_of_text_generation_webui_is_brought_in(page: AppTest, engine: ScriptedEngine) -> None:
    open_menu(page).file_uploader(key="preset_file").upload(
        "Midnight.yaml", b"temperature: 1.31\ntop_p: 0.14\ntop_a: 0.52\ntop_k: 49\n", "application/yaml"
    ).run()
    assert not page.exception
    assert shown(page) == "Midnight"
    assert page.warning[0].value == EN.presets.left_out.format(names="top\\_a")
    ask(page, "hello")
    assert engine.requests[0].sampling == SamplingParams(temperature=1.31, top_p=0.14, top_k=49, repetition_penalty=1)


def test_a_file_that_was_saved_here_brings_all_its_presets(page: AppTest) -> None:
    two = [check_preset("One", {"temperature": 0.4}), check_preset("二", {"top_k": 77, "min_p": 0.05})]
    open_menu(page).file_uploader(key="preset_file").upload(
        "presets.json", write_presets(two).encode(), "application/json"
    ).run()
    assert not page.exception
    assert not page.warning
    assert set(options(page)[3:]) == {"One", "二"}
    choose(page, "二")
    assert (page.slider(key="top_k").value, page.slider(key="min_p").value) == (77, 0.05)
    choose(page, "One")
    assert (page.slider(key="temperature").value, page.slider(key="top_k").value) == (0.4, 0)


def test_a_link_carries_what_is_set(page: AppTest, open_another: Callable[[], AppTest]) -> None:
    page.slider(key="frequency_penalty").set_value(0.35)
    page.number_input(key="seed").set_value(7)
    choose(page, "Creative")
    open_menu(page)
    [link] = [code.value for code in page.code if "temperature=" in code.value]
    other = open_another()
    for pair in link.split("?")[1].split("&"):
        name, value = pair.split("=")
        other.query_params[name] = value
    other.run()
    assert not other.exception
    assert shown(other) == "Creative"
    assert other.number_input(key="seed").value == 7


def test_it_speaks_chinese(open_another: Callable[[], AppTest]) -> None:
    page = open_another()
    page.query_params["lang"] = "zh"
    assert options(page.run())[:3] == [*ZH.presets.built_in.values()]
