"""Every path of the server, once: routes, the access middleware, CORS, error forms and the page all look here.

They are given as they are without the base path (``components.access.address.below_base``).
"""

import re

TUTORIAL = "/"
"""``POST`` here is the tutorial's API; ``GET`` is the page."""

V1 = "/v1"
CHAT_COMPLETIONS = f"{V1}/chat/completions"
COMPLETIONS = f"{V1}/completions"
RESPONSES = f"{V1}/responses"
MODELS = f"{V1}/models"
MODEL = f"{MODELS}/{{model:path}}"

TOKENIZE = "/tokenize"
DETOKENIZE = "/detokenize"

HEALTH = "/health"
READY = "/ready"
METRICS = "/metrics"

DOCS = "/docs"
DOCS_STYLE = f"{DOCS}/style.css"
OPENAPI = "/openapi.json"


OPERATIONS = "/operations"
"""The page's other page, beside the chat at ``GET /``."""


LAB = "/lab"
"""Another one, where settings are compared."""


TOKEN_VIEW = "baichuan_chat.token_view"
FOCUS = "baichuan_chat.focus"
"""The names under which Streamlit serves the files of the view of a reply's tokens, and of what keeps the focus."""


ROBOTS = "/robots.txt"

SHARED = "/s/{share}"

VOTE = f"{SHARED}/vote"

_SHARED_ID = re.compile(r"/s/[A-Za-z0-9_-]{22}")
_VOTE = re.compile(r"/s/[A-Za-z0-9_-]{22}/vote")


def is_shared(path: str) -> bool:
    """Whether a path is exactly that of something that a reader shared with whoever has its address."""
    return _SHARED_ID.fullmatch(path) is not None


def is_vote(path: str) -> bool:
    """Whether a path is exactly that where whoever has such an address votes."""
    return _VOTE.fullmatch(path) is not None


def tidy(path: str) -> str:
    """A path with single slashes and none at its end, as clients mean it that join addresses carelessly."""
    return re.sub("/+", "/", path).rstrip("/") or "/"


def is_below_v1(path: str) -> bool:
    """Whether a path is OpenAI's own."""
    return path == V1 or path.startswith(f"{V1}/")


def is_openai(path: str) -> bool:
    """Whether a path, given without the base path, belongs to the OpenAI-compatible API."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in (V1, TOKENIZE, DETOKENIZE))


def is_api(path: str) -> bool:
    """Whether programs ask for what is there: the OpenAI-compatible API, the tutorial's, and what watchers read."""
    return path in (TUTORIAL, HEALTH, READY) or is_openai(path)
