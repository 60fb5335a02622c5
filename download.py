"""Fetch a checkpoint: from ModelScope (the default), Hugging Face, or the small demo model."""

import argparse
import sys
from pathlib import Path

from components.checkpoints.demo import fetch_demo
from components.checkpoints.errors import CheckpointError
from components.checkpoints.fetch import fetch_checkpoint
from components.checkpoints.huggingface import HuggingFace
from components.checkpoints.locate import find_checkpoint
from components.checkpoints.modelscope import ModelScope
from components.settings import SettingsError, get_settings

DEFAULT_MODEL = "baichuan-inc/Baichuan2-7B-Chat"
DEFAULT_REVISIONS = {"modelscope": "master", "huggingface": "main"}
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        settings = get_settings()
        options = build_parser(settings.models_dir).parse_args(arguments)
        if options.if_none and (running := _find_any()):
            print(f"Using {running}.")
        elif options.source == "demo":
            fetch_demo(options.dir)
        else:
            hub = {"modelscope": ModelScope, "huggingface": HuggingFace}[options.source]
            fetch_checkpoint(hub(options.model, options.revision or default_revision(options)), options.dir)
    except (CheckpointError, SettingsError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Error: {error}. Make room or choose another folder with --dir, and run again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. What has arrived is kept; run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED
    return 0


def build_parser(models_dir: Path) -> argparse.ArgumentParser:
    """The options, with ``models_dir`` as the folder if none is named."""
    parser = argparse.ArgumentParser(
        description="Fetch a checkpoint for the chat application.",
        epilog="MODELSCOPE_ENDPOINT and HF_ENDPOINT change the hubs' addresses, for instance to a mirror. "
        "When a download was cut, the same command goes on where it stopped (on Hugging Face: with the next file).",
    )
    parser.add_argument(
        "--source",
        choices=["modelscope", "huggingface", "demo"],
        default="modelscope",
        help="where from; demo is a small English model that runs on any CPU (default: %(default)s)",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name on the hub (default: %(default)s)")
    parser.add_argument(
        "--revision",
        help=f"branch, tag or commit (default: v1.0.4 for {DEFAULT_MODEL} on ModelScope, else the hub's main branch)",
    )
    parser.add_argument(
        "--dir", type=Path, default=models_dir, help="folder that checkpoints are kept in (default: %(default)s)"
    )
    parser.add_argument("--if-none", action="store_true", help="do nothing when there is a checkpoint to run already")
    return parser


def default_revision(options: argparse.Namespace) -> str:
    """The tutorial's revision for the tutorial's model; elsewhere the newest."""
    if (options.source, options.model) == ("modelscope", DEFAULT_MODEL):
        return "v1.0.4"
    return DEFAULT_REVISIONS[options.source]


def _find_any() -> str | None:
    """Where the checkpoint to run is; a BAICHUAN_MODEL that cannot be used is an error, not a reason to fetch one."""
    settings = get_settings()
    try:
        return str(find_checkpoint(settings).path)
    except CheckpointError:
        if settings.model is not None:
            raise
        return None


if __name__ == "__main__":
    sys.exit(main())
