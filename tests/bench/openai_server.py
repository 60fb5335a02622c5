"""A server on loopback that streams as OpenAI's reference describes it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class OpenAIServer(ThreadingHTTPServer):
    """Answers every question with ``w0 w1 …``, a token each; notes what it is asked, and tells the usage or not."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.tells_usage = True

    @property
    def url(self) -> str:
        """With the /v1."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: OpenAIServer

    def do_GET(self) -> None:
        models = {"object": "list", "data": [{"id": "streaming-1b", "object": "model", "created": 0, "owned_by": "x"}]}
        self._begin("application/json")
        self.wfile.write(json.dumps(models).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        self._begin("text/event-stream")
        self._send({"role": "assistant", "content": ""})
        for number in range(body["max_tokens"]):
            self._send({"content": f"w{number} "})
        self._send({}, finish_reason="length")
        if self.server.tells_usage:
            tokens = body["max_tokens"]
            usage = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}
            self._send_event({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def _send(self, delta: dict[str, str], finish_reason: str | None = None) -> None:
        self._send_event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    def _send_event(self, content: dict[str, Any]) -> None:
        event = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "streaming-1b", **content}
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())


@contextmanager
def openai_server() -> Iterator[OpenAIServer]:
    """The server, while it runs."""
    with OpenAIServer() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
