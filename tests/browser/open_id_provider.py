"""A small OpenID provider on loopback, where everybody is signed in as the same person already."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "the-chat"
SUBJECT = "person-1"


class _Provider(BaseHTTPRequestHandler):
    key = RSAKey.generate_key(2048, {"kid": "one"})
    nonces: dict[str, str] = {}  # noqa: RUF012

    @property
    def issuer(self) -> str:
        return f"http://{self.headers['Host']}"

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        match path:
            case "/.well-known/openid-configuration":
                self._answer(
                    {
                        "issuer": self.issuer,
                        "authorization_endpoint": f"{self.issuer}/authorize",
                        "token_endpoint": f"{self.issuer}/token",
                        "jwks_uri": f"{self.issuer}/keys",
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )
            case "/keys":
                self._answer({"keys": [self.key.as_dict(private=False)]})
            case "/authorize":
                code = f"code-{len(self.nonces)}"
                self.nonces[code] = query["nonce"][0]
                self.send_response(302)
                back = urlencode({"code": code, "state": query["state"][0]})
                self.send_header("Location", f"{query['redirect_uri'][0]}?{back}")
                self.end_headers()

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": SUBJECT,
            "nonce": self.nonces.pop(form["code"][0]),
            "iat": now,
            "exp": now + 600,
        }
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        self._answer({"access_token": "x", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_provider() -> Iterator[str]:
    """The provider's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
