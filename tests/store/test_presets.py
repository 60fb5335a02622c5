"""Presets of readers, over both databases."""

from collections.abc import Sequence

import pytest

from components.sampling.presets import LONGEST_NAME, Preset, check_preset
from components.store.database import Database
from components.store.errors import ConflictError, FullError, NotFoundError
from components.store.presets import MOST_PRESETS, Presets
from tests.store.helpers import READER, STRANGER


def preset(name: str, temperature: float = 0.5) -> Preset:
    return check_preset(name, {"temperature": temperature})


def kept(database: Database, reader: str = READER) -> Sequence[Preset]:
    with database.reading() as connection:
        return [one.preset for one in Presets(connection, reader).list()]


def test_a_preset_is_kept_for_its_reader_alone(database: Database) -> None:
    with database.writing() as connection:
        Presets(connection, READER).save(preset("床前 😀"))
    assert kept(database) == [preset("床前 😀")]
    assert kept(database, STRANGER) == []


def test_one_that_cannot_be_taken_hides_no_other(database: Database) -> None:
    """Another version may have kept it."""
    with database.writing() as connection:
        mine = Presets(connection, READER)
        mine.save(Preset("hot", {"temperature": 99.0}))
        mine.save(preset("A"))
    assert kept(database) == [preset("A")]


def test_what_is_saved_under_a_name_again_takes_its_place(database: Database) -> None:
    with database.writing() as connection:
        mine, theirs = Presets(connection, READER), Presets(connection, STRANGER)
        first = mine.save(preset("A", 0.1))
        theirs.save(preset("A", 0.9))
        assert mine.save(preset("A", 0.2)) == first
    assert kept(database) == [preset("A", 0.2)]
    assert kept(database, STRANGER) == [preset("A", 0.9)]


def test_a_preset_gets_another_name_that_is_free(database: Database) -> None:
    with database.writing() as connection:
        mine = Presets(connection, READER)
        first, _ = mine.save(preset("A")), mine.save(preset("B"))
        Presets(connection, STRANGER).save(preset("C"))
        mine.rename(first, "C")
        mine.rename(first, "C")
        with pytest.raises(ConflictError):
            mine.rename(first, "B")
    assert [one.name for one in kept(database)] == ["C", "B"]


def test_nobody_changes_what_is_somebody_elses(database: Database) -> None:
    with database.writing() as connection:
        theirs = Presets(connection, READER).save(preset("A"))
        stranger = Presets(connection, STRANGER)
        with pytest.raises(NotFoundError):
            stranger.rename(theirs, "B")
        with pytest.raises(NotFoundError):
            stranger.delete(theirs)
        stranger.delete_everything()
    assert kept(database) == [preset("A")]


def test_presets_are_deleted_one_by_one_and_all_at_once(database: Database) -> None:
    with database.writing() as connection:
        mine = Presets(connection, READER)
        first, *_ = [mine.save(preset(name)) for name in "ABC"]
        mine.delete(first)
        assert [one.preset.name for one in mine.list()] == ["B", "C"]
        with pytest.raises(NotFoundError):
            mine.delete(first)
        mine.delete_everything()
        assert not mine.list()


def test_nobody_keeps_more_than_one_may(database: Database) -> None:
    with database.writing() as connection:
        mine = Presets(connection, READER)
        for number in range(MOST_PRESETS):
            mine.save(preset(str(number)))
        with pytest.raises(FullError):
            mine.save(preset("one more"))
        mine.save(preset("0", 1.5))
        Presets(connection, STRANGER).save(preset("one more"))
    assert len(kept(database)) == MOST_PRESETS


def test_what_is_brought_in_takes_no_names_away(database: Database) -> None:
    long = "x" * LONGEST_NAME
    with database.writing() as connection:
        mine = Presets(connection, READER)
        there = mine.save(preset("A", 0.1))
        mine.save(preset(long, 0.1))
        ids = mine.bring_in([preset("A", 0.1), preset("A", 0.2), preset("A", 0.3), preset(long, 0.2)])
        assert ids[0] == there
        assert mine.bring_in([preset("A", 0.2)]) == [ids[1]]
    assert {one.name: one.values["temperature"] for one in kept(database)} == {
        "A": 0.1,
        long: 0.1,
        "A (2)": 0.2,
        "A (3)": 0.3,
        long[:-4] + " (2)": 0.2,
    }
