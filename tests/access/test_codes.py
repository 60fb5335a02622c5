"""Codes that are made, kept and changed, and what becomes of the cookies."""

import math
import stat
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from components.access import cookies
from components.access.codes import FILE_NAME, load_codes, make_code
from components.access.cookies import Cookies, Session
from components.settings import Settings, SettingsError, get_settings


def settings_in(folder: Path, **values: str) -> Settings:
    return Settings.model_validate({"data_dir": folder, **values})


def test_a_made_code_is_readable_and_cannot_be_guessed() -> None:
    code = make_code()
    letters = code.replace("-", "")
    assert len(letters) * math.log2(31) > 60
    assert not set(letters) & set("ilo01")
    assert make_code() != code


def test_made_codes_and_cookies_outlive_a_restart_and_are_private(tmp_path: Path) -> None:
    codes = load_codes(settings_in(tmp_path / "data"))
    cookie = Cookies(codes).sign(Session("visitor", "somebody"))

    again = load_codes(settings_in(tmp_path / "data"))
    assert again == codes
    assert Cookies(again).read(cookie) == Session("visitor", "somebody")
    assert stat.S_IMODE((tmp_path / "data" / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("taken_out", ["access_code", "owner_code"])
def test_a_code_taken_out_of_the_file_is_made_anew_once_and_changes_nobodys_name(
    tmp_path: Path, taken_out: str
) -> None:
    before = load_codes(settings_in(tmp_path))
    name = Cookies(before).sign_name("somebody")
    file = tmp_path / FILE_NAME
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if taken_out not in line))

    after = load_codes(settings_in(tmp_path))
    assert (after.visitor != before.visitor) is (taken_out == "access_code")
    assert (after.owner != before.owner) is (taken_out == "owner_code")
    assert load_codes(settings_in(tmp_path)) == after
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Cookies(after).read_name(name) == ("somebody", False)


def test_each_code_has_its_role(tmp_path: Path) -> None:
    codes = load_codes(settings_in(tmp_path, access_code="visitors-code", owner_code="owners-code"))
    assert codes.level_of("visitors-code") == "visitor"
    assert codes.level_of("owners-code") == "owner"
    assert codes.level_of("visitors-cod") is None
    assert codes.level_of("") is None
    assert codes.level_of("密码") is None


def test_a_changed_code_signs_out_those_who_used_the_old_one_and_nobody_else(tmp_path: Path) -> None:
    before = Cookies(load_codes(settings_in(tmp_path, access_code="the-old-code")))
    visitor, owner = before.sign(Session("visitor", "one")), before.sign(Session("owner", "two"))

    after = Cookies(load_codes(settings_in(tmp_path, access_code="the-new-code")))
    assert after.read(visitor) is None
    assert after.read(owner) == before.read(owner)


def test_who_came_through_an_open_door_is_nobody_once_it_is_locked(tmp_path: Path) -> None:
    signer = Cookies(load_codes(settings_in(tmp_path)))
    assert signer.read(signer.sign(Session(None, "somebody"))) == Session(None, "somebody")


def test_a_cookie_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Cookies(load_codes(settings_in(tmp_path)))
    cookie = signer.sign(Session("visitor", "one"))
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + cookies.MAX_AGE_SECONDS + 2)
    assert signer.read(cookie) is None


def test_a_damaged_file_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{")
    with pytest.raises(SettingsError, match=r"access\.json cannot be used.*delete it"):
        load_codes(settings_in(tmp_path))


@pytest.mark.parametrize(
    "values", [{"access_code": "short"}, {"access_code": "the-same-code", "owner_code": "the-same-code"}]
)
def test_codes_that_protect_nothing_are_refused(tmp_path: Path, values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings_in(tmp_path, **values)


def test_a_refused_code_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAICHUAN_ACCESS_CODE", "hunter2")
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match="BAICHUAN_ACCESS_CODE") as error:
        get_settings()
    get_settings.cache_clear()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("origins", ["example.org", "https://example.org/page", "https://a.example https://b.example"])
def test_an_origin_that_no_browser_sends_is_refused(tmp_path: Path, origins: str) -> None:
    with pytest.raises(ValidationError, match="without a path"):
        settings_in(tmp_path, cors_origins=origins)
