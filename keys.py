"""Make, list and withdraw API keys."""

import argparse
import sys

from components.access.keys import FILE_NAME, KeyStore, KeyStoreError
from components.settings import SettingsError, get_settings


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        store = KeyStore(get_settings().data_dir / FILE_NAME)
        match options.command:
            case "add":
                key = store.add(options.name)
                print(f"{key}\n\nKeep it now: only its hash is stored. It works at once, as Authorization: Bearer KEY.")
            case "list":
                for stored in store.all():
                    print(f"{stored.created:%Y-%m-%d %H:%M} UTC  {stored.name}")
            case "remove":
                store.remove(options.name)
                print(f"{options.name} is withdrawn; a running server refuses it from now on.")
    except (KeyStoreError, SettingsError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The three commands."""
    parser = argparse.ArgumentParser(
        description="API keys for the chat application.",
        epilog="A running server notices changes by itself. The keys are in BAICHUAN_DATA_DIR.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a key and print it, once")
    add.add_argument("name", help="whose key it is, or what for")
    commands.add_parser("list", help="show the names")
    remove = commands.add_parser("remove", help="withdraw a key")
    remove.add_argument("name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
