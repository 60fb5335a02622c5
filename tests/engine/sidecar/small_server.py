"""A real server process that does what the word on its command line says: ``small_server.py PORT WORD …``.

Its key is in the environment (KEY). It prints the ids of itself and of a child in a session of its own, which would
survive it. GET /crash kills it in the middle of the answer.
"""

import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, WORD, *MORE = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {os.environ['KEY']}":
            self._answer(401, "")
        elif self.path == "/health":
            self._answer(503 if WORD == "never" else 200, "ok")
            if WORD == "falls":
                os._exit(4)
        elif self.path == "/crash":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"the beginning")
            self.wfile.flush()
            os.abort()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


if WORD == "dies":
    print("loading the model", flush=True)
    sys.exit("\x1b[31mthere is no\x1b[0m such model: " + os.environ["KEY"])
server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(f"pids {os.getpid()} {child.pid}", flush=True)
if WORD == "deaf":
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if WORD == "sleeps":
    time.sleep(600)
server.serve_forever()
