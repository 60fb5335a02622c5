"""The page over llama.cpp itself, while that is down."""

import threading
from pathlib import Path

from streamlit.testing.v1 import AppTest

from components.engine.events import Waiting
from components.engine.host import Ready
from tests.engine.sidecar.gguf_files import exported
from tests.engine.sidecar.test_llama_cpp import processes, start
from tests.engine.sidecar.test_sidecar import wait_until
from tests.ui.conftest import OpenPage, StillHost


def test_the_page_is_drawn_and_a_question_is_kept_until_llama_cpp_is_back(open_page: OpenPage, tmp_path: Path) -> None:
    file, away = exported(tmp_path), tmp_path / "away.gguf"
    before = {process.pid for process in processes()}
    engine = start(file, tmp_path)
    waited: list[Waiting | None] = []

    def bring_back() -> None:
        wait_until(lambda: any(one.waiting for one in engine.activity.running()))
        waited.extend(one.waiting for one in engine.activity.running())
        away.rename(file)

    try:
        page = open_page(StillHost(Ready(engine, 1.0))).run()
        ask(page, "你是谁")
        (server,) = (one for one in processes() if one.pid not in before and "llama_cpp_server.py" in one.cmdline()[-1])
        file.rename(away)  # so it does not come back before we want it to
        server.kill()
        wait_until(lambda: engine.failure)

        page.text_area(key="system").set_value("用中文回答。").run()  # nobody knows its ids yet
        assert not page.exception
        assert questions(page) == ["你是谁"]
        threading.Thread(target=bring_back).start()
        ask(page, "海有多深")

        assert waited == [Waiting(0, for_restart=True)]
        assert questions(page) == ["你是谁", "海有多深"]
        assert not page.warning
        last = page.session_state["chat"].last
        assert last.reply.end in ("stop", "length", "loop")
        assert last.reply.completion_tokens > 0
    finally:
        engine.close()


def ask(page: AppTest, question: str) -> None:
    """Ask, and wait for the end of the reply."""
    page.chat_input(key="question").set_value(question).run()
    assert not page.exception


def questions(page: AppTest) -> list[str]:
    return [str(element.value) for bubble in page.chat_message for element in bubble.text]
