"""Files that browsers bring in: one a tab, a bounded sum for all, and only for those who are let in."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest
import requests
from starlette.requests import HTTPConnection, Request
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from components.access import uploads
from components.access.open_id import is_needed_to_sign_in
from components.access.policy import Refused
from components.access.uploads import FORM_BYTES, MOST_AT_ONCE, Uploads, held_bytes, largest_mb
from tests.access.conftest import OWNER_CODE

LONGEST = 1000

TAB = "11111111-1111-4111-8111-111111111111"
FILE = "22222222-2222-4222-8222-222222222222"
PATH = f"/_stcore/upload_file/{TAB}/{FILE}"


class Streamlit:
    """Stands in for the runtime, with Streamlit's own account of files."""

    def __init__(self) -> None:
        self.uploaded_file_mgr = MemoryUploadedFileManager("/_stcore/upload_file")

    def hold(self, tab: str, size: int, file: str = "1") -> None:
        self.uploaded_file_mgr.add_file(tab, UploadedFileRec(file, "a.json", "application/json", b"x" * size))


@pytest.fixture
def streamlit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Streamlit]:
    runtime = Streamlit()
    monkeypatch.setattr(uploads, "get_instance", lambda: runtime)
    monkeypatch.setattr("components.access.uploads.config.set_option", lambda *_: None)
    return runtime  # type: ignore[return-value]


def request(length: str | None) -> Request:
    headers = [] if length is None else [(b"content-length", length.encode())]
    return Request({"type": "http", "method": "PUT", "path": PATH, "headers": headers})


@pytest.mark.parametrize(
    ("length", "status"),
    [
        (None, HTTPStatus.LENGTH_REQUIRED),
        ("", HTTPStatus.LENGTH_REQUIRED),
        ("-5", HTTPStatus.LENGTH_REQUIRED),
        (str(LONGEST + FORM_BYTES + 1), HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ],
)
def test_how_long_it_is_is_said_and_is_not_too_much(streamlit: Streamlit, length: str | None, status: int) -> None:
    with pytest.raises(Refused) as refused, Uploads(LONGEST).admitted(request(length), TAB):
        pytest.fail("it was admitted")
    assert refused.value.status == status


def test_a_tab_has_one_file(streamlit: Streamlit) -> None:
    streamlit.hold(TAB, 100)
    streamlit.hold("other", 10)
    with Uploads(LONGEST).admitted(request("50"), TAB):
        assert held_bytes() == 10


def test_all_tabs_together_have_so_much_and_what_still_comes_counts(streamlit: Streamlit) -> None:
    admits = Uploads(LONGEST)
    room = MOST_AT_ONCE * (LONGEST + FORM_BYTES)
    streamlit.hold("other", room - 500)
    with admits.admitted(request("300"), TAB):
        with pytest.raises(Refused) as refused, admits.admitted(request("201"), "another"):
            pytest.fail("it was admitted")
        assert refused.value.status == HTTPStatus.SERVICE_UNAVAILABLE
    with admits.admitted(request("201"), "another"):
        pass


@pytest.mark.parametrize(("longest", "megabytes"), [(1024, 1), (2**20, 1), (2**20 + 1, 2), (20 * 2**20, 20)])
def test_streamlit_takes_no_smaller_files_than_the_settings(longest: int, megabytes: int) -> None:
    assert largest_mb(longest) == megabytes


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_who_has_no_code_brings_nothing_in(locked_server: str, method: str) -> None:
    assert requests.request(method, locked_server + PATH, data=b"x", timeout=60).status_code == 401


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}], ids=str)
def test_another_sites_page_brings_nothing_in(locked_server: str, headers: dict[str, str]) -> None:
    session = requests.Session()
    session.post(f"{locked_server}/login", {"code": OWNER_CODE}, timeout=60)
    answer = session.put(locked_server + PATH, data=b"x", headers=headers, timeout=60)
    assert answer.status_code == 403


def test_too_large_a_file_is_refused_before_streamlit_reads_it(locked_server: str) -> None:
    session = requests.Session()
    session.post(f"{locked_server}/login", {"code": OWNER_CODE}, timeout=60)
    answer = session.put(locked_server + PATH, data=b"x" * (20 * 2**20 + FORM_BYTES + 1), timeout=60)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "needed"), [("PUT", PATH, True), ("PUT", "/", False), ("POST", PATH, False)]
)
def test_who_signs_in_with_a_provider_brings_files_in_too(method: str, path: str, needed: bool) -> None:
    assert (
        is_needed_to_sign_in(HTTPConnection({"type": "http", "method": method, "path": path, "headers": []})) is needed
    )
