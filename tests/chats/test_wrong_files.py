"""What of a file cannot be read is passed over and told with its place; nonsense, and too much, is refused."""

import gzip
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.chats.drafts import Draft
from components.chats.import_errors import ImportFileError, ImportProblem, Place
from components.chats.importing import Contents, read_file
from components.settings import get_settings
from components.ui.chat.my_data import told_of
from components.ui.texts import TEXTS
from tests.chats.helpers import zipped


def read(value: Any) -> Contents:
    return read_file(json.dumps(value).encode())


def refusal(data: bytes) -> ImportFileError:
    with pytest.raises(ImportFileError) as refused:
        read_file(data)
    return refused.value


def own(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"format": "baichuan-chat", "version": 1, "conversations": [{"messages": list(messages), **more}]}


def node(parent: str | None, text: str = "") -> dict[str, Any]:
    return {"parent": parent, "message": {"author": {"role": "user"}, "content": {"parts": [text]}}}


HI = {"id": 1, "parent": None, "role": "user", "text": "hi"}
GOOD = {"messages": [{"role": "user", "content": "hi"}]}
FIRST = Place(conversation=1)

WRONG: list[tuple[Any, ImportProblem, Place]] = [
    (own({**HI, "role": "tool"}), "wrong_value", FIRST.at("messages", 0, "role")),
    (own({**HI, "text": 5}), "wrong_value", FIRST.at("messages", 0, "text")),
    (own({**HI, "id": 2**70}), "wrong_value", FIRST.at("messages", 0, "id")),
    (own({**HI, "created": 1e300}), "wrong_value", FIRST.at("messages", 0, "created")),
    (own({"id": 1, "parent": None, "role": "user"}), "missing", FIRST.at("messages", 0, "text")),
    (own(HI, HI), "same_id", FIRST.at("messages", 1, "id")),
    (own({**HI, "parent": 1}), "no_parent", FIRST.at("messages", 0, "parent")),
    (own({**HI, "parent": 2}, {**HI, "id": 2, "parent": 1}), "no_parent", FIRST.at("messages", 0, "parent")),
    (
        own({**HI, "role": "assistant", "reply": {"tokens": [1, -1]}}),
        "wrong_value",
        FIRST.at("messages", 0, "reply", "tokens", 1),
    ),
    (
        own({**HI, "role": "assistant", "reply": {"end": "x" * 50}}),
        "wrong_value",
        FIRST.at("messages", 0, "reply", "end"),
    ),
    ({**own(), "conversations": [5]}, "wrong_value", FIRST),
    ({**own(), "conversations": {}}, "no_list", Place(path="conversations")),
    ({**own(HI), "version": 2}, "later_version", Place()),
    ({**own(HI), "version": "1"}, "version", Place(path="version")),
    (own(), "empty", Place()),
    ({**own(), "presets": {}}, "presets", Place(path="presets")),
    ({**own(), "presets": [{"name": "B", "top_p": 2}]}, "preset", Place(path="presets[0]")),
    ({**own(), "presets": [{"temperature": 1}]}, "preset", Place(path="presets[0]")),
    ([], "empty", Place()),
    ({}, "unknown", Place()),
    ("hi", "unknown", Place()),
    (None, "unknown", Place()),
    ({"messages": {}}, "no_list", Place(path="messages")),
    ({"messages": [[]]}, "no_object", Place(path="messages[0]")),
    ([{"messages": [{"role": "user", "content": None}]}], "no_text", FIRST.at("messages", 0, "content")),
    ({"messages": [{"role": ["user"], "content": "x"}]}, "role", Place(path="messages[0].role")),
    ({"conversations": [{"from": "dog", "value": "x"}]}, "role", Place(path="conversations[0].from")),
    ([{"role": "dog", "content": "x"}], "role", Place(path="[0].role")),
    ({"instruction": [], "output": {}}, "no_text", Place(path="output")),
    ({"prompt": "a", "response": "b", "history": 5}, "no_list", Place(path="history")),
    ({"chat_messages": 5}, "no_list", Place(path="chat_messages")),
    ({"chat": {"history": {"messages": [1]}}}, "no_object", Place(path="chat.history.messages")),
    ({"mapping": []}, "no_object", Place(path="mapping")),
    ({"mapping": None}, "no_object", Place(path="mapping")),
    ({"mapping": {"a": 1}}, "no_object", Place(path="mapping")),
    ({"mapping": {"r": node(None), "a": node("b", "x"), "b": node("a", "y")}}, "circle", Place(path="mapping.a")),
    ({"mapping": {"a": node("a", "x")}}, "circle", Place(path="mapping.a")),
    ({"mapping": {"a": {"message": {"author": 3, "content": [], "metadata": 5}}}}, "empty", Place()),
]


@pytest.mark.parametrize(("value", "problem", "place"), WRONG, ids=[f"{what} {place.path}" for _, what, place in WRONG])
def test_what_is_wrong_is_refused_and_the_place_is_named(value: Any, problem: ImportProblem, place: Place) -> None:
    refused = refusal(json.dumps(value).encode())

    assert (refused.problem, refused.place) == (problem, place)


@pytest.mark.parametrize(
    ("value", "problem"),
    [(value, problem) for value, problem, _ in WRONG if problem not in ("empty", "later_version")],
    ids=lambda value: str(value)[:40],
)
def test_what_is_wrong_does_not_keep_the_rest_from_coming_in(value: Any, problem: ImportProblem) -> None:
    data = "\n".join(map(json.dumps, [GOOD, GOOD, value, GOOD])).encode()
    contents = read_file(data)

    assert (len(contents.drafts), contents.unread) == (3, 1)
    assert contents.told[0].problem == ("unknown" if value == [] else problem)
    assert contents.told[0].place.line == 3


def test_of_a_list_the_conversations_that_can_be_read_come_in() -> None:
    contents = read([GOOD, 5, {"mapping": None}, GOOD, {"title": "what?"}, {"messages": 7}])

    assert (len(contents.drafts), contents.unread) == (2, 4)
    assert [(error.problem, error.place.conversation) for error in contents.told] == [
        *[("unknown", 2), ("no_object", 3), ("unknown", 5)]
    ]


def test_of_lines_those_that_can_be_read_come_in() -> None:
    line = json.dumps(GOOD)
    contents = read_file(f"# comment\n{line}\n{line[:9]}\n5\n\n{line}\n".encode())

    assert (len(contents.drafts), contents.unread) == (2, 3)
    assert [(error.problem, error.place.line) for error in contents.told] == [
        *[("no_json", 1), ("no_json", 3), ("unknown", 4)]
    ]


def test_of_a_zip_file_the_files_that_can_be_read_come_in() -> None:
    contents = read_file(zipped({"a.json": b"{", "b.json": json.dumps(GOOD).encode(), "c.json": b"{}"}))

    assert (len(contents.drafts), contents.unread) == (1, 2)
    assert [(error.problem, error.place.file) for error in contents.told] == [
        *[("no_json", "a.json"), ("unknown", "c.json")]
    ]


LARGEST = 2**20
BOMB = b" " * (4 * LARGEST + 1)
LINE = json.dumps(GOOD).encode()

TOO_MUCH: dict[str, tuple[bytes, ImportProblem]] = {
    "nothing": (b"", "no_json"),
    "zeros": (b"\0\0\0\0", "no_json"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "no_json"),
    "half an object": (b"{", "no_json"),
    "half a list": (b"[1, 2", "no_json"),
    "no number": (b"[NaN]", "unknown"),
    "a long number": (b"[" + b"9" * 5000 + b"]", "unknown"),
    "lists in lists": (b"[" * 100_000 + b"]" * 100_000, "nested"),
    "objects in objects": (b'{"a":' * 100_000, "nested"),
    "many lists": (b"[" + b"[]," * 1_500_000 + b"[]]", "values"),
    "lines of words": (b"a\n" * 5_000_000, "no_json"),
    "lines of numbers": (b"5\n" * 5_000_000, "no_json"),
    "words in GB 18030": ("你好".encode("gb18030"), "no_json"),
    "no encoding": (b"\xff" * 10, "encoding"),
    "no UTF-8 behind its mark": (b"\xef\xbb\xbf\xff", "encoding"),
    "a bomb of gzip": (gzip.compress(BOMB), "unpacked_size"),
    "a bomb of ZIP": (zipped({"a.json": BOMB}), "unpacked_size"),
    "a bomb in a bomb": (zipped({"a.json.gz": gzip.compress(BOMB)}), "unpacked_size"),
    "bombs": (zipped({f"{number}.json": BOMB[1:] for number in range(3)}), "unpacked_size"),
    "many files": (zipped({f"{number}.json": b"[]" for number in range(201)}), "files"),
    "many pictures": (zipped({f"{number}.png": b"" for number in range(10_001)}), "files"),
    "only a picture": (zipped({"picture.png": b"\x89PNG"}), "empty"),
    "half a ZIP file": (zipped({"a.json": LINE})[:-30], "packed"),
    "many gzip files in a row": (gzip.compress(b"") * 10_000, "packed"),
    "more of them in a ZIP file": (zipped({"a.json.gz": gzip.compress(b"") * 100_000}), "packed"),
    "more lines than are read": (b'{"role": "user", "content": ""}\n' * 250_000, "values"),
    "more lines of numbers than are passed over": (LINE + b"\n" + b"1\n" * 25_000, "unknown"),
    "half a gzip file": (gzip.compress(LINE)[:-9], "packed"),
    "no gzip file": (b"\x1f\x8b nonsense", "packed"),
    "no ZIP file": (b"PK\x03\x04 nonsense", "packed"),
}


@pytest.mark.parametrize(("data", "problem"), TOO_MUCH.values(), ids=list(TOO_MUCH))
def test_what_is_no_json_or_too_much_is_refused(
    data: bytes, problem: ImportProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = get_settings().model_copy(update={"max_import_bytes": LARGEST, "max_stored_chars": LARGEST})
    monkeypatch.setattr("components.chats.importing.get_settings", lambda: small)
    tracemalloc.start()
    refused = refusal(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert refused.problem == problem
    assert peak < max(10 * len(data), 4 * len(BOMB)) + 2**24


@pytest.mark.parametrize("pack", [bytes, lambda data: zipped({"a.json": data})], ids=["plain", "ZIP"])
def test_more_conversations_than_are_taken_at_once_are_refused(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.chats.importing.MOST_CONVERSATIONS", 10)

    assert len(read_file(pack(json.dumps([GOOD] * 10).encode())).drafts) == 10
    assert refusal(pack(json.dumps([GOOD] * 11).encode())).problem == "conversations"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_packed_in_an_unusual_way_is_not_unpacked(method: int) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as file:
        file.writestr("conversations.json", json.dumps(GOOD))

    assert refusal(packed.getvalue()).problem == "empty"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("messages", "conversations", "mapping", "role", "content", "from", "value", "id", "parent"),
                    *("chat", "history", "chat_messages", "sender", "text", "author", "parts", "type", "data"),
                    *("instruction", "input", "output", "prompt", "response", "system", "tool_calls", "format"),
                    *("parentId", "message", "recipient", "uuid", "parent_message_uuid", "created_at", "version"),
                ]
            ),
            inner | st.sampled_from(["user", "Human", "tool", "a", "baichuan-chat", 1, "2024-05-01T10:00:00Z"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)

WRAPS = {
    "plain": lambda value: value,
    "own": lambda value: {**own(), "conversations": [value, {"messages": value}], "presets": value},
    "messages": lambda value: {"messages": [value, {"role": "user", "content": value}]},
    "turns": lambda value: [{"role": "user", "content": value}, {"author": value, "text": "x"}],
    "ShareGPT": lambda value: {"conversations": [{"from": "human", "value": value}]},
    "ChatGPT": lambda value: {
        "mapping": {"a": value, "b": {"message": value}, "c": {"message": {"role": "user", "content": value}}},
        "title": value,
        "current_node": value,
    },
    "Claude": lambda value: {"chat_messages": [value, {"sender": "human", "text": value, "uuid": value}]},
    "Open WebUI": lambda value: {"chat": {"history": {"messages": {"a": value}, "currentId": value}, "params": value}},
    "Alpaca": lambda value: {"instruction": "x", "input": value, "output": value, "history": value},
    "pairs": lambda value: {"conversation": [{"human": value, "assistant": value}, [value, value]]},
}


@settings(max_examples=400, deadline=None)
@given(value=JSON, wraps=st.sampled_from(list(WRAPS)), lines=st.booleans())
def test_no_json_at_all_makes_anything_but_conversations_or_a_sentence(value: Any, wraps: str, lines: bool) -> None:
    data = json.dumps(WRAPS[wraps](value))  # type: ignore[no-untyped-call]
    try:
        contents = read_file((f"{data}\n{data}" if lines else data).encode())
    except ImportFileError as error:
        wrong = [error]
    else:
        assert all(draft.messages for draft in contents.drafts)
        assert all(is_tree(draft) for draft in contents.drafts)
        wrong = contents.told
    for one in wrong:
        for texts in TEXTS.values():
            told = told_of(one, texts.mine)
            assert told.endswith((".", "。", "）。"))


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=60), begins=st.sampled_from([b"", b"\x1f\x8b", b"PK\x03\x04", b"\xff\xfe", b"{", b"["]))
def test_no_bytes_at_all_make_anything_but_a_sentence(data: bytes, begins: bytes) -> None:
    with pytest.raises(ImportFileError):
        read_file(begins + data)


def is_tree(draft: Draft) -> bool:
    depths: dict[int | None, int] = {None: -1}
    for message, _ in draft.messages:
        if depths[message.parent] + 1 != message.depth:
            return False
        depths[message.id] = message.depth
    return True
