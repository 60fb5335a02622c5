"""A small model hub on loopback that speaks as much of ModelScope's and Hugging Face's protocols as their own clients
use to list and fetch files, and that misbehaves when told to."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

MODEL = "somebody/Baichuan2-tiny-Chat"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubServer:
    """The hub's content, its faults, and what was asked of it.

    Attributes:
        files: content by path.
        revisions: the revisions that exist.
        damaged: how often to send a file with a byte changed, by path.
        served: bytes of file content that were sent, by path.
        claimed_sizes: sizes to list instead of the true ones, by path.
        held: a file whose second half is not sent before ``release`` is set.
    """

    url: str
    files: dict[str, bytes]
    revisions: tuple[str, ...] = ("master", "main", "v1.0.4", COMMIT)
    damaged: dict[str, int] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    claimed_sizes: dict[str, int] = field(default_factory=dict)
    held: str = ""
    release: threading.Event = field(default_factory=threading.Event)
    _cuts: dict[str, list[int]] = field(default_factory=dict)

    def cut(self, path: str, after: int, times: int) -> None:
        """Cut the connection after that many bytes of the file, that many times."""
        self._cuts[path] = [after] * times

    def take_cut(self, path: str) -> int | None:
        """After how many bytes to cut this time."""
        cuts = self._cuts.get(path)
        return cuts.pop() if cuts else None

    def size(self, path: str) -> int:
        return self.claimed_sizes.get(path, len(self.files[path]))

    def sha256(self, path: str) -> str:
        return hashlib.sha256(self.files[path]).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _answer(self, with_body: bool) -> None:
        hub = self.server.hub
        hub.requests.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path == f"/api/v1/models/{MODEL}/repo/files":
            self._modelscope_listing(query.get("Revision", "master"))
        elif url.path == f"/api/v1/models/{MODEL}/repo":
            self._file(query["FilePath"], query.get("Revision", "master"), with_body)
        elif match := re.fullmatch(rf"/api/models/{MODEL}/revision/([^/]+)", url.path):
            self._huggingface_listing(match[1])
        elif url.path.startswith(f"/api/models/{MODEL}/tree/"):
            self._huggingface_tree()
        elif match := re.fullmatch(rf"/{MODEL}/resolve/([^/]+)/(.+)", url.path):
            self._file(unquote(match[2]), match[1], with_body)
        else:
            missing = {"Code": 10010205001, "Message": "record not found", "Success": False}
            self._json(404, missing, {"X-Error-Code": "RepoNotFound"})

    def _modelscope_listing(self, revision: str) -> None:
        hub = self.server.hub
        if revision not in hub.revisions:
            self._json(404, {"Code": 10010205001, "Message": "revision not found", "Success": False})
            return
        files = [
            {"Path": path, "Name": path, "Size": hub.size(path), "Sha256": hub.sha256(path), "Type": "blob"}
            | {"Revision": COMMIT}
            for path in hub.files
        ]
        self._json(200, {"Code": 200, "Success": True, "Message": "", "Data": {"Files": files}})

    def _huggingface_listing(self, revision: str) -> None:
        hub = self.server.hub
        if revision not in hub.revisions:
            self._json(404, {}, {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = [
            {"rfilename": path, "size": hub.size(path), "blobId": COMMIT}
            | {"lfs": {"size": hub.size(path), "sha256": hub.sha256(path), "pointerSize": 1}}
            for path in hub.files
        ]
        self._json(200, {"id": MODEL, "modelId": MODEL, "sha": COMMIT, "siblings": siblings, "tags": []})

    def _huggingface_tree(self) -> None:
        hub = self.server.hub
        entries = [
            {"type": "file", "path": path, "size": hub.size(path), "oid": COMMIT}
            | {"lfs": {"oid": hub.sha256(path), "size": hub.size(path), "pointerSize": 1}}
            for path in hub.files
        ]
        self._json(200, entries)

    def _file(self, path: str, revision: str, with_body: bool) -> None:
        hub = self.server.hub
        if path not in hub.files or revision not in hub.revisions:
            self._json(404, {"Code": 10010205001, "Message": "file not found", "Success": False})
            return
        content = hub.files[path]
        start, end = 0, len(content) - 1
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(match[1]), min(int(match[2] or end), end)
        partial = "Range" in self.headers
        self.send_response(206 if partial else 200)
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
        self.send_header("Content-Length", str(end - start + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hub.sha256(path)}"')
        self.send_header("X-Linked-ETag", f'"{hub.sha256(path)}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self._send(path, content[start : end + 1])

    def _send(self, path: str, body: bytes) -> None:
        hub = self.server.hub
        if hub.damaged.get(path, 0) > 0:
            hub.damaged[path] -= 1
            body = bytes([body[0] ^ 1]) + body[1:]
        if (cut := hub.take_cut(path)) is not None:
            body = body[:cut]
            self.close_connection = True
        half = len(body) // 2
        for piece in (body[:half], body[half:]):
            self.wfile.write(piece)
            self.wfile.flush()
            hub.served[path] = hub.served.get(path, 0) + len(piece)
            if hub.held == path:
                hub.release.wait(60)

    def _json(self, status: int, content: object, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    hub: HubServer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is part of the tests."""


@contextmanager
def running_hub(files: dict[str, bytes]) -> Iterator[HubServer]:
    """Serve ``files`` as the files of ``MODEL``."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = HubServer(f"http://127.0.0.1:{server.server_port}", files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.hub
    finally:
        server.hub.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
