"""What the Dockerfile says holds."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.server import ROOT


def test_all_that_the_image_copies_is_there_and_not_ignored() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert copied
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        assert any(fnmatch(name, f"{source}*") for name in kept), f"{source} is left out by .dockerignore"


def test_the_image_has_every_file_of_the_application() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for script in ROOT.glob("*.py"):
        assert script.name in dockerfile


def test_the_health_check_asks_no_proxy() -> None:
    """A proxy that the environment names would ask its own 127.0.0.1."""
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r"^HEALTHCHECK CMD (\[.+\])$", dockerfile, re.MULTILINE)
    assert found
    with serving_health() as port:
        program, *arguments = json.loads(found[1].replace("6006", str(port)))
        assert program == "python"
        environment = {"http_proxy": "http://127.0.0.1:9", "PATH": os.environ["PATH"]}
        subprocess.run([sys.executable, *arguments], env=environment, check=True, timeout=60)


@contextmanager
def serving_health() -> Iterator[int]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
