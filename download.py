"""Fetch a checkpoint (ModelScope, Hugging Face, or the small demo model), and export it for other engines."""

import argparse
import sys
from pathlib import Path

from components.checkpoints.demo import fetch_demo
from components.checkpoints.errors import CheckpointError
from components.checkpoints.export_target import check_file_target, check_target
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
        if options.export_llama is not None:
            export_llama(options, options.export_llama)
        elif options.export_gguf is not None:
            export_gguf(options, options.export_gguf)
        elif not (options.if_none and _needs_nothing()):
            fetch(options)
    except (CheckpointError, SettingsError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Error: {error}. Make room or choose another folder, and run again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. What has arrived is kept; run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED
    return 0


def fetch(options: argparse.Namespace) -> Path:
    """Fetch what the options name; return its folder."""
    if options.source == "demo":
        return fetch_demo(options.dir)
    hub = {"modelscope": ModelScope, "huggingface": HuggingFace}[options.source]
    return fetch_checkpoint(hub(options.model, options.revision or default_revision(options)), options.dir)


def export_llama(options: argparse.Namespace, target: Path) -> None:
    """Write the checkpoint that the options name as a plain Llama model."""
    check_target(target)  # before 15 GB are fetched
    source = named_checkpoint(options)
    from components.model.export import folder  # only here: download.py --help must not wait for torch

    folder.export_llama(source, target)


def export_gguf(options: argparse.Namespace, target: Path) -> None:
    """Write the checkpoint that the options name as a GGUF file."""
    check_file_target(target)
    source = named_checkpoint(options)
    from components.model.export import gguf_file

    gguf_file.export_gguf(source, target, options.type)


def named_checkpoint(options: argparse.Namespace) -> Path:
    """The folder that the options name, or one that is fetched by its name on the hub."""
    named = Path(options.model).expanduser()
    return named if named.is_dir() else fetch(options)


def build_parser(models_dir: Path) -> argparse.ArgumentParser:
    """The options, with ``models_dir`` as the folder if none is named."""
    parser = argparse.ArgumentParser(
        description="Fetch a checkpoint for the chat application, or export one for another engine.",
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
    exports = parser.add_mutually_exclusive_group()
    exports.add_argument(
        "--export-llama",
        type=Path,
        metavar="FOLDER",
        help="also write Baichuan 2 7B there as a plain Llama model, for vLLM and other engines; "
        "--model may then be the folder of a checkpoint that is here already",
    )
    exports.add_argument(
        "--export-gguf",
        type=Path,
        metavar="FILE",
        help="also write it there as a GGUF file, for llama.cpp and what is built on it; --model as above",
    )
    parser.add_argument(
        "--type",
        choices=["f32", "f16", "q8_0", "q4_0"],
        default="q8_0",
        help="of the numbers in the GGUF file: 32, 16, 8 or 4 bits (default: %(default)s)",
    )
    parser.add_argument("--if-none", action="store_true", help="do nothing when there is a checkpoint to run already")
    return parser


def default_revision(options: argparse.Namespace) -> str:
    """The tutorial's revision for the tutorial's model; elsewhere the newest."""
    if (options.source, options.model) == ("modelscope", DEFAULT_MODEL):
        return "v1.0.4"
    return DEFAULT_REVISIONS[options.source]


def _needs_nothing() -> bool:
    """Whether there is what is to run; a BAICHUAN_MODEL that cannot be used is an error, not a reason to fetch one."""
    settings = get_settings()
    if settings.engine == "openai":
        print(f"Nothing is fetched: BAICHUAN_ENGINE=openai, the server at {settings.openai_base_url} has the model.")
        return True
    try:
        print(f"Using {find_checkpoint(settings).path}.")
    except CheckpointError:
        if settings.model is not None:
            raise
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
