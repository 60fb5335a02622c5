"""Files as other programs write them come in: who said what, and nothing that their readers were not shown."""

import gzip
import json
from typing import Any

import pytest

from components.chats.drafts import Draft
from components.chats.importing import read_file
from components.store.rows import Message
from tests.chats.helpers import zipped

Said = list[tuple[str, str]]

ASKED: Said = [("user", "What is 2 + 3?"), ("assistant", "It is 5.")]
"""What most of the files below hold."""

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 3}'}}


def said(draft: Draft) -> Said:
    return [(message.role, message.text) for message, _ in draft.messages]


def brought_in(value: Any) -> list[Draft]:
    return list(read_file(json.dumps(value).encode()).drafts)


def turns(*pairs: tuple[str, Any], role: str = "role", text: str = "content") -> list[dict[str, Any]]:
    return [{role: who, text: what} for who, what in pairs]


QUESTION, ANSWER = "What is 2 + 3?", "It is 5."
PLAIN = (("user", QUESTION), ("assistant", ANSWER))

FORMS: dict[str, Any] = {
    "OpenAI": {"messages": turns(*PLAIN)},
    "OpenAI, tools": {
        "messages": [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "5"},
            {"role": "assistant", "content": ANSWER},
        ],
        "tools": [{"type": "function", "function": {"name": "add"}}],
    },
    "OpenAI, functions": {
        "messages": [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": "", "function_call": {"name": "add", "arguments": "{}"}},
            {"role": "function", "name": "add", "content": "5"},
            {"role": "assistant", "content": ANSWER},
        ],
        "functions": [],
    },
    "OpenAI, parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {}}]},
            {"role": "assistant", "content": [{"type": "output_text", "text": ANSWER}]},
        ]
    },
    "OpenAI, threads": {
        "messages": [
            {"role": who, "content": [{"type": "text", "text": {"value": text, "annotations": []}}]}
            for who, text in PLAIN
        ]
    },
    "Anthropic, tools": {
        "messages": [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "add", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "5"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": ANSWER}]},
        ]
    },
    "ShareGPT": {"id": "x_0", "conversations": turns(("human", QUESTION), ("gpt", ANSWER), role="from", text="value")},
    "ShareGPT, Bing": {"conversations": turns(("human", QUESTION), ("bing", ANSWER), role="from", text="value")},
    "ShareGPT, Bard": {"conversations": turns(("user", QUESTION), ("bard", ANSWER), role="from", text="value")},
    "ShareGPT, tools": {
        "conversations": turns(
            ("human", QUESTION),
            ("function_call", "{}"),
            ("observation", "5"),
            ("gpt", ANSWER),
            role="from",
            text="value",
        ),
        "tools": "[]",
    },
    "ShareGPT, capitals": {"conversations": turns(("Human", QUESTION), ("GPT", ANSWER), role="from", text="value")},
    "ShareGPT, OpenAI's keys": {"conversations": turns(*PLAIN)},
    "OpenAI, ShareGPT's keys": {"messages": turns(("human", QUESTION), ("gpt", ANSWER), role="from", text="value")},
    "capitals": {"messages": turns(("User", QUESTION), ("ASSISTANT", ANSWER))},
    "blanks around": {"messages": turns((" user ", QUESTION), ("assistant\n", ANSWER))},
    "author and text": {"messages": turns(*PLAIN, role="author", text="text")},
    "author as an object": {"messages": [{"author": {"role": who}, "text": text} for who, text in PLAIN]},
    "pairs by who speaks": {"conversation": [{"human": QUESTION, "assistant": ANSWER}]},
    "a bare list": turns(*PLAIN),
    "a list of bare lists": [turns(*PLAIN)],
    "named data": {"data": [{"messages": turns(*PLAIN)}]},
    "named conversations": {"conversations": [{"id": 1, "messages": turns(*PLAIN)}]},
    "Alpaca": {"instruction": QUESTION, "input": "", "output": ANSWER},
    "Alpaca, a list": [{"instruction": QUESTION, "output": ANSWER}],
    "only input and output": {"input": QUESTION, "output": ANSWER},
    "prompt and completion": {"prompt": QUESTION, "completion": ANSWER},
    "prompt and response": {"prompt": QUESTION, "response": ANSWER},
    "question and answer": {"question": QUESTION, "answer": ANSWER},
    "query and response": {"query": QUESTION, "response": ANSWER, "history": []},
    "preferences": {"prompt": QUESTION, "chosen": ANSWER, "rejected": "It is 6."},
    "preferences as turns": {"chosen": turns(*PLAIN), "rejected": [], "prompt": QUESTION},
    "prompt and completion as turns": {"prompt": turns(PLAIN[0]), "completion": turns(PLAIN[1])},
    "Firefly": {"kind": "Math", "input": QUESTION, "target": ANSWER},
    "Claude": [
        {
            "uuid": "c",
            "name": "Sums",
            "created_at": "2024-05-01T10:00:00.000000Z",
            "chat_messages": [
                {"uuid": "1", "sender": "human", "text": QUESTION, "content": [], "created_at": "2024-05-01T10:00:00Z"},
                {"uuid": "2", "sender": "assistant", "text": "", "content": [{"type": "text", "text": ANSWER}]},
            ],
        }
    ],
    "Open WebUI": [
        {
            "id": "x",
            "title": "Sums",
            "chat": {
                "models": ["llama3"],
                "messages": [],
                "history": {
                    "currentId": "b",
                    "messages": {
                        "a": {"id": "a", "parentId": None, "childrenIds": ["b"], "role": "user", "content": QUESTION},
                        "b": {"id": "b", "parentId": "a", "role": "assistant", "content": ANSWER, "model": "llama3"},
                    },
                },
            },
        }
    ],
}


@pytest.mark.parametrize("value", FORMS.values(), ids=list(FORMS))
def test_a_form_is_read(value: Any) -> None:
    [draft] = brought_in(value)

    assert said(draft) == ASKED


@pytest.mark.parametrize("value", FORMS.values(), ids=list(FORMS))
def test_a_form_is_read_in_lines(value: Any) -> None:
    data = "\n".join([json.dumps(value)] * 2).encode()

    assert [said(draft) for draft in read_file(data).drafts] == [ASKED, ASKED]


@pytest.mark.parametrize(
    "history",
    [
        [["Hello", "Hi."]],
        [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}],
        [{"query": "Hello", "response": "Hi."}],
    ],
    ids=["pairs", "turns", "objects"],
)
def test_what_was_said_before_comes_first(history: Any) -> None:
    [draft] = brought_in({"system": "S", "instruction": "Add", "input": "2 and 3", "output": 5, "history": history})

    assert draft.conversation.system == "S"
    assert said(draft) == [
        *[("user", "Hello"), ("assistant", "Hi.")],
        *[("user", "Add\n\n2 and 3"), ("assistant", "5")],
    ]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:…"}},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        {"type": "image", "source": {"type": "base64", "data": "…"}},
        {"image_url": {"url": "data:…"}},
    ],
    ids=str,
)
def test_a_question_that_is_only_a_picture_is_a_question(part: dict[str, Any]) -> None:
    [draft] = brought_in(
        {"messages": [{"role": "user", "content": [part]}, {"role": "assistant", "content": "A cat."}]}
    )

    assert said(draft) == [("user", "[image]"), ("assistant", "A cat.")]


def test_chatgpts_question_that_is_only_a_picture_is_a_question() -> None:
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_1", "width": 10}
    mapping = {
        "q": {
            "parent": None,
            "message": {
                "author": {"role": "user"},
                "content": {"content_type": "multimodal_text", "parts": [picture, ""]},
            },
        },
        "a": node("q", "assistant", "A cat."),
    }
    [draft] = brought_in([{"mapping": mapping}])

    assert said(draft) == [("user", "[image]"), ("assistant", "A cat.")]


def node(parent: str | None, role: str = "user", text: str = "", **message: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    return {"parent": parent, "message": {"author": {"role": role}, "content": content, **message}}


def by_text(draft: Draft) -> dict[str, Message]:
    return {message.text: message for message, _ in draft.messages}


def test_chatgpts_tree_comes_in_with_its_branches_and_without_what_it_does_not_show() -> None:
    call = {"content_type": "code", "text": '{"a": 1}'}
    mapping = {
        "root": {"parent": None, "message": None, "children": ["sys"]},
        "sys": node("root", "system", "hidden"),
        "memory": node("sys", "user", "about me", content={"content_type": "user_editable_context", "parts": ["me"]}),
        "q": node("memory", text="question", create_time=5.5),
        "bio": node("q", "assistant", '{"note": "likes cats"}', recipient="bio"),
        "draw": node("bio", "assistant", '{"prompt": "a cat"}', recipient="dalle.text2im"),
        "code": node("draw", "assistant", "", content=call, recipient="python"),
        "thought": node("code", "assistant", "", content={"content_type": "thoughts", "thoughts": []}),
        "tool": node("thought", "tool", "searching"),
        "a1": node("tool", "assistant", "one", metadata={"model_slug": "gpt-4"}, recipient="all"),
        "a2": {"parent": "q", "message": {"role": "assistant", "content": "two"}},
    }
    [draft] = brought_in([{"title": "Old", "create_time": 3.0, "mapping": mapping, "current_node": "a1"}])

    messages = by_text(draft)
    assert set(messages) == {"question", "one", "two"}
    assert messages["one"].parent == messages["two"].parent == messages["question"].id
    assert messages["one"].reply is not None
    assert messages["one"].reply.model == "gpt-4"
    assert messages["question"].created == 5.5
    assert draft.conversation.leaf == messages["one"].id
    assert (draft.conversation.title, draft.conversation.created) == ("Old", 3.0)


def test_claudes_branches_come_in() -> None:
    first = "00000000-0000-4000-8000-000000000000"
    written = [("1", first, "human", "q"), ("2", "1", "assistant", "a"), ("3", first, "human", "p")]
    items = [
        {"uuid": name, "parent_message_uuid": above, "sender": who, "text": text} for name, above, who, text in written
    ]
    [draft] = brought_in([{"uuid": "c", "name": "N", "created_at": "1970-01-01T00:00:05Z", "chat_messages": items}])

    messages = by_text(draft)
    assert [messages[text].parent for text in ("q", "a", "p")] == [None, messages["q"].id, None]
    assert (draft.conversation.title, draft.conversation.created) == ("N", 5.0)


def test_open_webuis_branches_come_in() -> None:
    nodes = {
        "q": {"parentId": None, "role": "user", "content": "q", "timestamp": 1_700_000_000},
        "a": {"parentId": "q", "role": "assistant", "content": "a", "modelName": "Llama"},
        "b": {"parentId": "q", "role": "assistant", "content": "b"},
    }
    chat = {"params": {"system": "S"}, "history": {"messages": nodes, "currentId": "a"}}
    [draft] = brought_in({"title": "T", "created_at": 1_700_000_000_000, "chat": chat})

    messages = by_text(draft)
    assert messages["a"].parent == messages["b"].parent == messages["q"].id
    assert draft.conversation.leaf == messages["a"].id
    assert messages["a"].reply is not None
    assert messages["a"].reply.model == "Llama"
    assert messages["q"].created == draft.conversation.created == 1_700_000_000
    assert (draft.conversation.title, draft.conversation.system) == ("T", "S")


OPENAI_LINES = [
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好\u2028!"}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "assistant", "content": "b"}]},
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\n\ufeff"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_training_set_comes_in_as_jsonl(end: str, ascii_only: bool) -> None:
    data = end.join(json.dumps(line, ensure_ascii=ascii_only) for line in OPENAI_LINES) + end

    first, second = read_file(data.encode()).drafts

    assert first.conversation.system == "Be brief."
    assert said(first) == [("user", "你好\u2028!")]
    assert said(second) == [("user", "a"), ("assistant", "b")]


def test_values_that_take_several_lines_come_in_one_behind_the_other() -> None:
    data = "\n".join(json.dumps(line, indent=2) for line in OPENAI_LINES)

    assert [len(draft.messages) for draft in read_file(data.encode()).drafts] == [1, 2]


def test_turns_that_are_lines_are_one_conversation() -> None:
    data = "\n".join(map(json.dumps, turns(*PLAIN)))

    assert [said(draft) for draft in read_file(data.encode()).drafts] == [ASKED]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gb18030", "gbk"], ids=lambda name: name
)
@pytest.mark.parametrize("as_lines", [True, False], ids=["lines", "list"])
def test_a_file_comes_in_whatever_it_is_written_in(encoding: str, as_lines: bool) -> None:
    asked: list[Any] = [{"messages": [{"role": "user", "content": "联通，你好"}]}] * 2
    text = (
        "\n".join(json.dumps(one, ensure_ascii=False) for one in asked)
        if as_lines
        else json.dumps(asked, ensure_ascii=False)
    )

    drafts = read_file(text.encode(encoding)).drafts

    assert [said(draft) for draft in drafts] == [[("user", "联通，你好")]] * 2


@pytest.mark.parametrize("field", ["NaN", "-Infinity", "9" * 5000, "1e999"])
def test_what_is_no_number_does_no_harm_in_a_field_that_is_not_read(field: str) -> None:
    data = f'{{"score": {field}, "messages": {json.dumps(turns(*PLAIN))}}}'

    assert [said(draft) for draft in read_file(data.encode()).drafts] == [ASKED]


CHATGPT = json.dumps([{"mapping": {"q": node(None, text=QUESTION), "a": node("q", "assistant", ANSWER)}}]).encode()
PACKED = {
    "gzip": gzip.compress(CHATGPT),
    "two gzips in a row": gzip.compress(CHATGPT[:50]) + gzip.compress(CHATGPT[50:]),
    "ChatGPT's ZIP": zipped(
        {
            "user.json": b'{"id": "user-1"}',
            "message_feedback.json": b"[]",
            "chat.html": b"<html>",
            "file-1.png": b"\x89PNG",
            "conversations.json": CHATGPT,
        }
    ),
    "in a folder": zipped({"export/": b"", "export/conversations.json": CHATGPT, "__MACOSX/._x.json": b"\0\0"}),
    "of any name": zipped({"train.jsonl": CHATGPT, "picture.png": b"\x89PNG"}),
    "gzip in ZIP": zipped({"train.json.gz": gzip.compress(CHATGPT)}),
}


@pytest.mark.parametrize("data", PACKED.values(), ids=list(PACKED))
def test_a_packed_file_comes_in(data: bytes) -> None:
    contents = read_file(data)

    assert [said(draft) for draft in contents.drafts] == [ASKED]
    assert contents.unread == 0


def test_all_files_of_a_zip_file_come_in() -> None:
    contents = read_file(zipped({"conversations-000.json": CHATGPT, "conversations-001.json": CHATGPT}))

    assert [said(draft) for draft in contents.drafts] == [ASKED, ASKED]
