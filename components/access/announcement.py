"""What the server prints when it starts: where it is, and who may come in."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from components.access.address import page_url
from components.access.policy import AccessPolicy
from components.settings import ENV_PREFIX

logger = logging.getLogger(__name__)

REMINDER_SECONDS = 3600.0


def announcement(policy: AccessPolicy) -> str:
    """The links to open, the owner's always among them. A code from the settings is known already, and not shown."""
    url = page_url()
    visitor = _Shown(policy.codes.visitor, policy.codes.visitor_is_made, "access_code")
    owner = _Shown(policy.codes.owner, policy.codes.owner_is_made, "owner_code")
    owners_link = f"For the owner: {owner.link(url)}"
    if policy.settings.access == "open":
        lines = [
            f"Chat: {url}",
            "Open to everybody. What the owner alone sees and does needs the owner's link.",
            owners_link,
        ]
    elif policy.is_open_here:
        lines = [
            f"Chat: {url}",
            owners_link,
            "Open on this machine. Through a proxy or by another name it asks for a code: "
            f"{visitor} (visitors), {owner} (owner).",
        ]
    else:
        lines = [
            f"For visitors:  {visitor.link(url)}",
            owners_link,
            f"Any other address that leads here asks for the code: {visitor} (visitors), {owner} (owner).",
        ]
    return "\n".join(lines)


@dataclass(frozen=True)
class _Shown:
    code: str
    is_made: bool
    setting: str

    def __str__(self) -> str:
        return self.code if self.is_made else f"as in {ENV_PREFIX}{self.setting.upper()}"

    def link(self, url: str) -> str:
        return f"{url}?code={quote(self.code, safe='')}" if self.is_made else f"{url} (code {self})"


@asynccontextmanager
async def announced(policy: AccessPolicy) -> AsyncIterator[None]:
    """Print the announcement, and repeat while the server runs that it is open to everybody, if it is."""
    print(f"\n{announcement(policy)}\n", flush=True)
    reminder = asyncio.create_task(_remind()) if policy.settings.access == "open" else None
    try:
        yield
    finally:
        if reminder:
            reminder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reminder


async def _remind() -> None:
    while True:
        logger.warning(
            "This server is open: everybody who reaches its address can chat here and use the model, without a code. "
            "To lock it, take BAICHUAN_ACCESS=open away and start again."
        )
        await asyncio.sleep(REMINDER_SECONDS)
