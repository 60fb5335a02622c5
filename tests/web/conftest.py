"""Servers with the plain pages, and what readers share there, written through the store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.chats.asker import Asker
from components.chats.chat import Chat
from components.chats.drafts import keep
from components.chats.importing import read_file
from components.chats.replies import Replies
from components.store.database import Database
from tests.access.conftest import LOCKED
from tests.server import running_server

SAID = [{"role": "user", "content": "Why <b>bold</b>?"}, {"role": "assistant", "content": "Because."}]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="session")
def web(folder: Path) -> Iterator[str]:
    """The address of a server that lets nobody in without a code."""
    env = {**LOCKED, "BAICHUAN_DATA_DIR": str(folder)}
    with running_server(folder / "log.txt", env, "tests/browser/scripted_app.py", "/health") as address:
        yield address


@pytest.fixture(scope="session")
def replies(folder: Path, web: str) -> Iterator[Replies]:
    """Over that server's database."""
    replies = Replies(Database(f"sqlite:///{folder / 'chats.db'}"))
    yield replies
    replies.keeper.close()
    replies.database.close()


def kept_chat(replies: Replies, title: str = "A title", said: Any = SAID, reader: str = "browser:author") -> Chat:
    """A conversation of this reader's."""
    drafts = read_file(json.dumps({"title": title, "messages": said}).encode()).drafts
    keep(replies.database, Asker(reader), drafts)
    return Chat.open(Asker(reader), replies, drafts[0].conversation.id)
