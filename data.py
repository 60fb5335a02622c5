"""Back up, restore and move conversations, and make a web site of those that are shared."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from components.settings import ENV_PREFIX, SettingsError
from components.store import moving
from components.store.database import Database, get_database
from components.store.errors import ConflictError, StoreError
from components.store.shares import all_present
from components.web.site import FolderError, write_site
from components.web.texts import TEXTS


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        database = get_database()
        match options.command:
            case "backup":
                counts = moving.back_up(database, options.file)
                print(f"{options.file} holds {_told(counts)} of {database.name}.")
            case "restore":
                counts = moving.restore(options.file, database, replace=options.replace)
                print(f"{database.name} holds {_told(counts)} of {options.file}.")
            case "move":
                target = Database(options.to)
                counts = moving.move(database, target)
                print(
                    f"{target.name} holds {_told(counts)}. Set {ENV_PREFIX}DATABASE_URL to it and start the server. "
                    f"{database.name} is left as it was."
                )
            case "site":
                with database.reading() as connection:
                    count = write_site(all_present(connection), TEXTS[options.language], options.folder)
                print(f"{options.folder} holds {count:,} shared conversation{'s' * (count != 1)}. Open its index.html.")
    except (StoreError, ConflictError, SettingsError, FolderError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The four commands."""
    parser = argparse.ArgumentParser(
        description="Back up, restore and move the conversations of the chat application; make a site of shared ones.",
        epilog=f"The database is that of {ENV_PREFIX}DATABASE_URL, or the file in {ENV_PREFIX}DATA_DIR.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    backup = commands.add_parser("backup", help="write all conversations to a new file, also while the server runs")
    backup.add_argument("file", type=Path, metavar="FILE")
    restore = commands.add_parser("restore", help="put what a back-up holds into the database, which must be empty")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument("--replace", action="store_true", help="delete the conversations that are there first")
    move = commands.add_parser(
        "move", help="copy all conversations to another, empty database, to use that from now on"
    )
    move.add_argument("--to", required=True, metavar="URL", help="such as postgresql://user@host/name; see ~/.pgpass")
    site = commands.add_parser(
        "site", help="write what is shared, and has not expired, into a new folder as plain HTML that needs no network"
    )
    site.add_argument("folder", type=Path, metavar="FOLDER")
    site.add_argument("--language", choices=sorted(TEXTS), default="en", help="of the words around it (default: en)")
    return parser


def _told(counts: Mapping[str, int]) -> str:
    conversations, messages = (counts.get(name, 0) for name in ("conversations", "messages"))
    return f"{conversations:,} conversation{'s' * (conversations != 1)} with {messages:,} messages"


if __name__ == "__main__":
    sys.exit(main())
