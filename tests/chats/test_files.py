"""Conversations leave as files and come back; other programs' files come in; nonsense is refused in words."""

import json
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.drafts import Draft, keep
from components.chats.exporting import (
    file_name,
    json_of,
    markdown_of,
    read_entry,
    read_everything,
    read_own_presets,
)
from components.chats.file_format import ConversationEntry, MessageEntry, ReplyEntry
from components.chats.importing import read_file
from components.chats.reply import End
from components.sampling.parameters import SamplingParams
from components.sampling.presets import check_preset
from components.store.conversations import Conversations
from components.store.database import Database
from components.store.errors import FullError, NotFoundError
from components.store.messages import Messages
from components.store.presets import MOST_PRESETS, Presets
from components.store.rows import Conversation, Message, Reply
from components.store.texts import storable
from tests.chats.helpers import CONTROLS, ask, texts
from tests.scripted_engine import ScriptedEngine, echo, endless

TEXT = st.text(max_size=30).map(storable)
TIME = st.floats(0, 4e9)
COUNT = st.none() | st.integers(0, 2**31 - 1)
SAMPLING = st.builds(SamplingParams, temperature=st.floats(0, 2), top_k=st.integers(0, 1000)).map(
    lambda params: params.model_dump(mode="json")
)
REPLY = st.builds(
    ReplyEntry,
    end=st.sampled_from([end for kind in get_args(End) for end in get_args(kind) or (kind,)]),
    error_kind=st.sampled_from(["", "limit"]),
    error=TEXT,
    sampling=SAMPLING,
    model=TEXT,
    weights=TEXT,
    prompt_tokens=COUNT,
    completion_tokens=COUNT,
    seconds=st.none() | st.floats(0, 1e6),
    first_token_seconds=st.none() | st.floats(0, 1e6),
    tokens=st.lists(st.integers(0, 2**32 - 1), max_size=5),
)


@st.composite
def trees(draw: st.DrawFn) -> ConversationEntry:
    messages = []
    for number in range(1, draw(st.integers(1, 8)) + 1):
        role = draw(st.sampled_from(["user", "assistant"]))
        messages.append(
            MessageEntry(
                id=number,
                parent=draw(st.none() | st.integers(1, number - 1)) if number > 1 else None,
                role=role,
                text=draw(TEXT),
                created=draw(TIME),
                place=draw(st.sampled_from(["usual", "pinned", "left_out"])),
                rating=draw(st.sampled_from([-1, 0, 1])),
                note=draw(TEXT),
                reply=draw(REPLY) if role == "assistant" else None,
            )
        )
    return ConversationEntry(
        title=draw(TEXT.filter(bool)),
        pinned=draw(st.booleans()),
        system=draw(TEXT),
        sampling=draw(SAMPLING),
        created=draw(TIME),
        changed=draw(TIME),
        shown=draw(st.integers(1, len(messages))),
        messages=messages,
    )


def written(*entries: ConversationEntry) -> bytes:
    return "".join(json_of(entries)).encode()


def brought_in(value: Any) -> list[Draft]:
    return list(read_file(json.dumps(value).encode()).drafts)


def own(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"format": "baichuan-chat", "version": 1, "conversations": [{"messages": list(messages), **more}]}


def said(draft: Draft) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message, _ in draft.messages]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(trees(), min_size=1, max_size=3))
def test_what_is_brought_back_is_what_was_downloaded(database: Database, entries: list[ConversationEntry]) -> None:
    drafts = read_file(written(*entries)).drafts
    keep(database, Asker("browser:one"), drafts)

    with database.reading() as connection:
        back = [read_entry(connection, "browser:one", draft.conversation.id) for draft in drafts]

    assert back == entries
    assert written(*back) == written(*entries)


def test_everything_of_one_reader_and_of_nobody_else_is_in_the_file(database: Database) -> None:
    for reader, title in (("browser:one", "mine"), ("browser:one", "mine, too"), ("browser:two", "theirs")):
        keep(
            database,
            Asker(reader),
            brought_in(own({"id": 1, "parent": None, "role": "user", "text": "hi"}, title=title)),
        )
    gone = brought_in(own({"id": 1, "parent": None, "role": "user", "text": "hi"}, title="thrown away"))
    keep(database, Asker("browser:one"), gone)
    with database.writing() as connection:
        Conversations(connection, "browser:one").delete(gone[0].conversation.id)

    titles = [entry.title for entry in read_everything(database, "browser:one")]

    assert sorted(titles) == ["mine", "mine, too"]
    with database.reading() as connection, pytest.raises(NotFoundError):
        read_entry(connection, "browser:two", gone[0].conversation.id)


def test_a_conversation_that_was_brought_back_goes_on(chat: Chat, engine: ScriptedEngine) -> None:
    reply = ask(chat, engine, "the first question")
    engine.script = endless
    chat.regenerate(engine, reply, CONTROLS)
    with chat.replies.database.reading() as connection:
        data = written(read_entry(connection, "browser:one", chat.conversation.id))
    chat.stop()
    engine.script = echo

    [draft] = read_file(data).drafts
    keep(chat.replies.database, Asker("browser:one"), [draft])
    again = Chat.open(chat.asker, chat.replies, draft.conversation.id)
    assert again.last is not None
    assert again.last.reply is not None
    assert again.last.reply.end == "cut"  # nobody writes on what was being written when the file was made
    ask(again, engine, "one more")

    assert texts(again.shown)[::2] == ["the first question", "one more"]


def test_presets_leave_and_come_back_in_the_file_of_everything(database: Database) -> None:
    mine = [check_preset("床前", {"temperature": 0.7, "top_k": 12}), check_preset("B", {"min_p": 0.1})]
    with database.writing() as connection:
        Presets(connection, "browser:one").bring_in(mine)
        Presets(connection, "browser:two").save(check_preset("B", {"min_p": 0.9}))
    data = "".join(json_of(read_everything(database, "browser:one"), read_own_presets(database, "browser:one")))

    for _ in range(2):
        contents = read_file(data.encode())
        keep(database, Asker("browser:two"), contents.drafts, contents.presets)

    theirs = {preset.name: preset.values for preset in read_own_presets(database, "browser:two")}
    assert theirs == {
        "B": check_preset("B", {"min_p": 0.9}).values,
        "床前": mine[0].values,
        "B (2)": mine[1].values,
    }


def test_of_a_file_whose_presets_find_no_room_nothing_is_kept(database: Database) -> None:
    names = [{"name": str(number)} for number in range(MOST_PRESETS + 1)]
    contents = read_file(
        json.dumps({**own({"id": 1, "parent": None, "role": "user", "text": "hi"}), "presets": names}).encode()
    )

    with pytest.raises(FullError):
        keep(database, Asker("browser:one"), contents.drafts, contents.presets)

    with database.reading() as connection:
        assert not Conversations(connection, "browser:one").list(5)
        assert not Presets(connection, "browser:one").list()


def test_a_branch_reads_well_as_markdown() -> None:
    branch = [
        Message(1, "c", None, 0, "user", "Show me"),
        Message(2, "c", 1, 1, "assistant", "Here:\n```python\nprint(1)", reply=Reply("cut", model="Baichuan2-7B")),
        Message(3, "c", 2, 2, "user", "# Thanks\n~~~\nx\n~~~"),
    ]

    text = "".join(markdown_of(Conversation("c", "r", "A\ntitle", created=0, system="Be brief."), branch))

    assert text == (
        "# A title\n\n1970-01-01 00:00 UTC\n\n## System\n\nBe brief.\n\n## User\n\nShow me\n"
        "\n## Assistant\n\nHere:\n```python\nprint(1)\n```\n\n*Baichuan2-7B*\n\n## User\n\n# Thanks\n~~~\nx\n~~~\n"
    )


def test_what_no_database_keeps_is_replaced(database: Database) -> None:
    bad = "a\0b\ud800c"
    drafts = brought_in(own({"id": 1, "parent": None, "role": "user", "text": bad}, title=bad)) + brought_in(
        {"messages": [{"role": "user", "content": bad}]}
    )
    keep(database, Asker("browser:one"), drafts)

    with database.reading() as connection:
        kept = [Messages(connection, draft.conversation.id).all()[0].text for draft in drafts]
    assert kept == ["a\ufffdb\ufffdc"] * 2


def test_parameters_that_this_version_does_not_take_are_left_out() -> None:
    [draft] = brought_in(
        own({"id": 1, "parent": None, "role": "user", "text": "hi"}, sampling={"temperature": 99, "evil": ["\0"]})
    )

    assert draft.conversation.sampling == {}


NAMES = [
    ("", "conversation.md"),
    ("../../etc/passwd", "etc passwd.md"),
    ("a\r\nX-Evil: 1", "a X-Evil 1.md"),
    ("gnp\u202edm", "gnp dm.md"),
    ("a\u00adb\u2066c", "a b c.md"),
    (" . ", "conversation.md"),
    ("长" * 200, "长" * 66 + ".md"),
    ("😀" * 200, "😀" * 50 + ".md"),
    ('"; filename=x', "; filename=x.md"),
    ("CON", "_CON.md"),
    ("com1.what", "_com1.what.md"),
    ("Console", "Console.md"),
    ("为什么/why?", "为什么 why.md"),
]


@pytest.mark.parametrize(("title", "name"), NAMES)
def test_a_files_name_is_one_that_every_system_takes(title: str, name: str) -> None:
    assert file_name(title, "md") == name


@given(st.text(st.characters(), max_size=400))
def test_whatever_the_title_is_the_files_name_can_be_used(title: str) -> None:
    name = file_name(title, "json")
    assert name.endswith(".json")
    assert len(name.encode()) <= 255
    assert not set(name) & set('\\/:*?"<>|\0\n\r')
    assert name == name.strip(" .")
    assert name.isprintable()
