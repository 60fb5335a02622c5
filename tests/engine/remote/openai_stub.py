"""An OpenAI-compatible server on loopback that writes what it is told to, and misbehaves when told to."""

import json
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "Baichuan2-7B-Chat"
END = "</s>"


@dataclass(frozen=True)
class Refusal:
    """An answer other than a reply."""

    status: int
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class OpenAIStub:
    """What the server has and does, and what was asked of it.

    A prompt's tokens are its characters and two for each message.

    Attributes:
        requests: path and body of each POST.
        pieces: of every reply.
        ids: each piece's tokens, and the end's, for whoever asks for token ids as vLLM tells them; None tells none.
        logprobs: what it tells as the log probabilities of a piece, or of a prompt's text, instead of what it should.
        usage: what it tells as usage, instead of what it should.
        refusals: answers to the next requests for replies, instead of replies.
        unknown: parameters that it refuses to know.
        pages: what anybody may get, by path.
        key: what it asks for, if anything.
        counts: whether it tells usage, with so many ``tokens_per_piece``.
        echoes: whether it tells the log probabilities of prompts; else it takes no notice of being asked.
        tokenizes: whether it has vLLM's endpoints for tokens.
        stall_before: the piece before which it waits until ``release`` is set; -1 waits before the headers.
        drop_before: the piece before which it breaks off.
        chunked: whether whoever reads can tell the end of a reply from a broken connection.
        stream_error: sent as an event instead of the reply.
        gone: set once a client has hung up before the end of its reply.
    """

    url: str
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    pieces: list[str] = field(default_factory=lambda: ["百川", "归", "海", "。"])
    ids: dict[str, list[int]] | None = None
    logprobs: Callable[[str], object] | None = None
    usage: object = None
    refusals: list[Refusal] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    key: str | None = None
    pages: dict[str, object] = field(default_factory=lambda: {"/health": {}})
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": MODEL, "max_model_len": 4096}])
    counts: bool = True
    tokens_per_piece: float = 2
    echoes: bool = True
    tokenizes: bool = True
    stall_before: int | None = None
    drop_before: int | None = None
    chunked: bool = True
    stream_error: dict[str, Any] | None = None
    release: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def replies(self) -> list[dict[str, Any]]:
        """The bodies of the requests for replies."""
        return [body for path, body in self.requests if path.endswith("completions")]

    @property
    def last_messages(self) -> list[str]:
        """The text of each message of the last such request."""
        return [message["content"] for message in self.replies[-1]["messages"]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        if self.path in self.server.stub.pages:
            self._json(200, self.server.stub.pages[self.path])
            return
        if self._refuses_key():
            return
        if self.path == "/v1/models":
            self._json(200, {"object": "list", "data": self.server.stub.models})
        else:
            self._error(Refusal(404, "not found"))

    def do_POST(self) -> None:
        stub = self.server.stub
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stub.requests.append((self.path, body))
        if self._refuses_key():
            return
        if self.path.endswith("completions"):
            self._reply(body)
        elif self.path == "/tokenize" and stub.tokenizes and (found := stub.unknown & body.keys()):
            self._error(Refusal(400, f"{sorted(found)[0]} is not a known field"))
        elif self.path == "/tokenize" and stub.tokenizes:
            text = body.get("prompt") or "".join(message["content"] + "<>" for message in body["messages"])
            self._json(200, {"count": len(text), "max_model_len": 4096, "tokens": list(map(ord, text))})
        elif self.path == "/detokenize" and stub.tokenizes:
            self._json(200, {"prompt": "".join(map(chr, body["tokens"]))})
        else:
            self._error(Refusal(404, "not found"))

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _refuses_key(self) -> bool:
        key = self.server.stub.key
        sent = self.headers.get("Authorization", "")
        if key is None or sent == f"Bearer {key}":
            return False
        self._error(Refusal(401, f"Incorrect API key provided: {sent}"))
        return True

    def _reply(self, body: dict[str, Any]) -> None:
        stub = self.server.stub
        if stub.refusals:
            self._error(stub.refusals.pop(0))
        elif found := stub.unknown & body.keys():
            known = sorted(body.keys() - found)
            self._error(Refusal(400, f"{sorted(found)[0]} is not a known field (known: {', '.join(known)})"))
        elif body["model"] not in [model["id"] for model in stub.models]:
            self._error(Refusal(404, f"The model `{body['model']}` does not exist."))
        elif stub.stall_before != -1 or self._stall():
            if body.get("stream"):
                self._stream(body)
            else:
                choice = _echoed_choice(body) if stub.echoes else _plain_choice(stub.pieces[0], body)
                choice |= _told_instead(stub, str(choice["text"]), body)
                self._json(200, _chunk(choice) | {"usage": _usage(body, 0) if stub.usage is None else stub.usage})

    def _stream(self, body: dict[str, Any]) -> None:
        stub = self.server.stub
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        if stub.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if stub.stream_error:
            self._event({"error": stub.stream_error})
            return
        chat = "messages" in body
        for index, piece in enumerate(stub.pieces):
            if index == stub.drop_before or (index == stub.stall_before and not self._stall()):
                return
            choice = _chat_choice(piece, body) if chat else _plain_choice(piece, body)
            choice |= _told_instead(stub, piece, body)
            self._event(_chunk(choice | _told_ids(stub, piece, body)))
        longest = len(stub.pieces) == body["max_tokens"]
        last = {"index": 0, "delta": {}, "text": "", "finish_reason": "length" if longest else "stop"}
        self._event(_chunk(last | _told_ids(stub, "" if longest else END, body)))
        if stub.counts and "stream_options" in body:
            usage = _usage(body, round(stub.tokens_per_piece * len(stub.pieces)))
            self._event(_chunk(None) | {"usage": usage if stub.usage is None else stub.usage})
        self._write(b"data: [DONE]\n\n")
        if stub.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _stall(self) -> bool:
        """Wait; whether the client is still there then."""
        stub = self.server.stub
        while not stub.release.wait(0.01):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                stub.gone.set()
                self.close_connection = True
                return False
        return True

    def _event(self, content: dict[str, Any]) -> None:
        self._write(f"data: {json.dumps(content)}\n\n".encode())

    def _write(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.server.stub.chunked else data)
        self.wfile.flush()

    def _error(self, refusal: Refusal) -> None:
        content = {"error": {"message": refusal.message, "type": "error", "param": None, "code": None}}
        self._json(refusal.status, content, refusal.headers)

    def _json(self, status: int, content: object, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _chunk(choice: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "system_fingerprint": "stub-1",
        "choices": [choice] if choice else [],
    }


def _chat_choice(piece: str, body: dict[str, Any]) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
    if body.get("logprobs"):
        own = {"token": piece, "bytes": list(piece.encode()), "logprob": -0.5}
        others = [{"token": f"{piece}{n}", "bytes": None, "logprob": -2.0 - n} for n in range(body["top_logprobs"] - 1)]
        top = [own, *others] if body["top_logprobs"] else []
        choice["logprobs"] = {"content": [{"token": piece, "bytes": None, "logprob": -0.5, "top_logprobs": top}]}
    return choice


def _plain_choice(piece: str, body: dict[str, Any]) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "text": piece, "finish_reason": None, "logprobs": None}
    if body.get("logprobs") is not None:
        top = [{"b": -2.0, piece: -0.5, "a": -1.0}]
        choice["logprobs"] = {"tokens": [piece], "token_logprobs": [-0.5], "top_logprobs": top, "text_offset": [0]}
    return choice


def _told_instead(stub: OpenAIStub, text: str, body: dict[str, Any]) -> dict[str, Any]:
    if stub.logprobs is None or body.get("logprobs") is None:
        return {}
    return {"logprobs": stub.logprobs(text)}


def _told_ids(stub: OpenAIStub, piece: str, body: dict[str, Any]) -> dict[str, Any]:
    """What vLLM tells of a piece to whoever asks for the ids of its tokens; the least likely is the chosen one."""
    if stub.ids is None or not body.get("return_token_ids"):
        return {}
    ids = stub.ids.get(piece, [])
    told: dict[str, Any] = {"token_ids": ids, "stop_reason": None}
    if body.get("return_tokens_as_token_ids"):
        tokens = [f"token_id:{id_}" for id_ in ids]
        others = {f"token_id:{100 + place}": -0.5 - place for place in range(body["logprobs"] - 1)}
        top = [{token: -9.0, **others} for token in tokens]
        told["logprobs"] = {"tokens": tokens, "token_logprobs": [-9.0] * len(ids), "top_logprobs": top}
    return told


def _echoed_choice(body: dict[str, Any]) -> dict[str, Any]:
    tokens = [character if isinstance(character, str) else chr(character) for character in body["prompt"]]
    top = [{token: -0.5, "a": -1.0, "b": -2.0} for token in tokens[1:]]
    told = {"tokens": tokens, "token_logprobs": [None, *[-0.5] * (len(tokens) - 1)], "top_logprobs": [None, *top]}
    return {"index": 0, "text": "".join(tokens), "finish_reason": "length", "logprobs": told}


def _usage(body: dict[str, Any], completion: int) -> dict[str, Any]:
    prompt = sum(len(message["content"]) + 2 for message in body["messages"]) if "messages" in body else 1
    details = {"cached_tokens": 1}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": details,
    }


class _Server(ThreadingHTTPServer):
    stub: OpenAIStub

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 the base class gives them
        """A client that hangs up is part of the tests; here it did while the server wrote or looked."""
        if isinstance(sys.exception(), ConnectionError):
            self.stub.gone.set()


@contextmanager
def running_stub(port: int = 0) -> Iterator[OpenAIStub]:
    """Serve on a free port, or on the same one again."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.daemon_threads = False
    server.stub = OpenAIStub(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.stub
    finally:
        server.stub.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
