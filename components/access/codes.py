"""The two codes that let people in, and the secret that cookies are signed with.

A code that the settings do not name is made once and kept in the data folder, so a restart signs nobody out. What is
taken out of the file there is made anew, so that a code can be changed without the secret, by which browsers are known.
"""

import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from components.access.identity import CodeLevel
from components.access.private_file import write_private
from components.settings import Settings, SettingsError

FILE_NAME = "access.json"

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without i, l, o, 0 and 1, which look alike: 31 letters, 4.95 bits each."""


def make_code() -> str:
    """A code of 74 random bits that can be read out and typed: three groups of five."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(3))


class _Kept(BaseModel):
    """What the file holds."""

    access_code: str = Field(default_factory=make_code)
    owner_code: str = Field(default_factory=make_code)
    cookie_secret: str = Field(default_factory=lambda: secrets.token_urlsafe(32))


@dataclass(frozen=True)
class Codes:
    """The codes in force, and which of them were made here and may therefore be printed."""

    visitor: str
    owner: str
    cookie_secret: str
    visitor_is_made: bool
    owner_is_made: bool

    def level_of(self, code: str) -> CodeLevel | None:
        """Whose code this is. Takes the same time for every code of one length."""
        given = code.strip().encode()
        is_owner = hmac.compare_digest(given, self.owner.encode())
        is_visitor = hmac.compare_digest(given, self.visitor.encode())
        return "owner" if is_owner else "visitor" if is_visitor else None


def load_codes(settings: Settings) -> Codes:
    """The codes of the settings, else those that were made before, else new ones.

    Raises:
        SettingsError: the file in the data folder cannot be used.
    """
    kept = _read_or_make(settings.data_dir / FILE_NAME)
    visitor, owner = settings.access_code, settings.owner_code
    return Codes(
        visitor=visitor.get_secret_value() if visitor else kept.access_code,
        owner=owner.get_secret_value() if owner else kept.owner_code,
        cookie_secret=kept.cookie_secret,
        visitor_is_made=visitor is None,
        owner_is_made=owner is None,
    )


def _read_or_make(path: Path) -> _Kept:
    try:
        kept = _Kept.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        kept = _Kept()
    except (ValidationError, OSError) as error:
        raise SettingsError(
            f"{path} cannot be used ({type(error).__name__}). Repair it, or delete it to have new codes made; then "
            "browsers are not known again, and their conversations not found."
        ) from error
    if kept.model_fields_set != set(_Kept.model_fields):
        write_private(path, json.dumps(kept.model_dump(), indent=2) + "\n")
    return kept
