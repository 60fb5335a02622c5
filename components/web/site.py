"""What readers shared, as a folder of plain files: for when the machine goes. It needs no server and no network."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from components.chats.exporting import file_name
from components.store.shares import Share
from components.web.pages import render
from components.web.shared import shown_messages
from components.web.texts import PageTexts, date_of

INDEX = "index.html"


class FolderError(Exception):
    """The folder cannot be written, or holds something already."""


def build_site(shares: Iterable[Share], texts: PageTexts) -> Iterator[tuple[str, str]]:
    """The site's files, one after the other, each with its name: a page for each share, then the index."""
    listed: list[dict[str, str]] = []
    taken = {INDEX}
    for shared in shares:
        name = _free_name(shared.title, taken)
        date = date_of(shared.created)
        listed.append({"title": shared.title or texts.site, "address": quote(name), "date": date})
        yield (
            name,
            render(
                "shared.html",
                texts,
                title=shared.title,
                about=texts.shared_on.format(date=date),
                messages=shown_messages(shared),
                copy=None,
            ),
        )
    yield INDEX, render("index.html", texts, listed=listed)


def write_site(shares: Iterable[Share], texts: PageTexts, folder: Path) -> int:
    """Write the site into a folder that is new or empty; gives the number of shares.

    Raises:
        FolderError: that cannot be done; the text says why.
    """
    count = -1
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FolderError(f"{folder} is not empty. Name a new folder, or empty that one.")
        for name, content in build_site(shares, texts):
            (folder / name).write_text(content, encoding="utf-8")
            count += 1
    except OSError as error:
        raise FolderError(f"{folder} cannot be written: {error.strerror}.") from error
    return count


def zip_site(shares: Iterable[Share], texts: PageTexts) -> bytes:
    """The site as a ZIP file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in build_site(shares, texts):
            file.writestr(name, content)
    return packed.getvalue()


def _free_name(title: str, taken: set[str]) -> str:
    """A name that no other file has, on systems either that do not tell small letters from large ones."""
    name, number = file_name(title, "html"), 1
    while name.casefold() in taken:
        number += 1
        name = file_name(f"{number} {title}", "html")
    taken.add(name.casefold())
    return name
