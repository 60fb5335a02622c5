"""``python -m bench``: measure, print, and write tables and plots."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

import torch

from bench.conversation_tables import conversations_page
from bench.gpu import QUICK_GPU, GpuPlan, measure_gpu
from bench.gpu_tables import gpu_page
from bench.large import QUICK_LARGE, LargePlan, measure_large
from bench.large_tables import large_page
from bench.plots import PLOTS, draw
from bench.run import CONVERSATIONS, GPU, LARGE, PARTS, QUICK, Plan, measure
from bench.tables import engine_page
from bench.targets import OpenAITarget
from components.settings import get_settings

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PUBLISHED = ROOT / "docs" / "bench"

PAGES = {
    "README": (engine_page, frozenset(PARTS) - {CONVERSATIONS}),
    "conversations": (conversations_page, frozenset({CONVERSATIONS})),
    "gpu": (gpu_page, frozenset({GPU})),
    "large": (large_page, frozenset({LARGE})),
}
"""Each page with the parts of a run that it shows."""

NO_GPU = "There is no GPU here that CUDA sees, and --gpu measures one. Add --quick to see on the CPU that it runs.\n"


def main() -> None:
    """Do what the command line says."""
    arguments = _parse()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.gpu:
            gpu_plan = QUICK_GPU if arguments.quick else GpuPlan(rounds=arguments.rounds)
            results = measure_gpu(gpu_plan, get_settings(), Path(folder))
        elif arguments.large:
            large_plan = QUICK_LARGE if arguments.quick else LargePlan(rounds=arguments.rounds)
            results = measure_large(large_plan, get_settings(), Path(folder))
        else:
            server = OpenAITarget(arguments.url, arguments.model, arguments.key) if arguments.url else None
            plan = QUICK if arguments.quick else Plan(rounds=arguments.rounds)
            results = measure(plan, arguments.only, get_settings(), server, Path(folder))
    RESULTS.mkdir(parents=True, exist_ok=True)
    results.save(RESULTS / "results.json")
    measured = set(arguments.only) - set(results.failed)
    for name, (page, parts) in PAGES.items():
        if parts & measured:
            (RESULTS / f"{name}.md").write_text(text := page(results), encoding="utf-8")
            print(f"\n{text}")
    if not arguments.gpu and not arguments.large:
        draw(results, RESULTS)
    print(f"Written to {RESULTS.relative_to(ROOT)}/.")
    if arguments.publish:
        publish(RESULTS, PUBLISHED, measured)
    if results.failed:
        sys.exit(f"Not measured: {', '.join(results.failed)}. Why stands above, where it happened.")


def publish(results: Path, folder: Path, measured: Collection[str]) -> None:
    """Copy the pages all of whose parts were measured, with their plots, to where they are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in whole_pages(measured):
        shutil.copy(results / f"{name}.md", folder)
        for plot in PLOTS if name == "README" else ():
            shutil.copy(results / f"{plot}.png", folder)


def whole_pages(measured: Collection[str]) -> list[str]:
    """The pages all of whose parts were measured."""
    return [name for name, (_, parts) in PAGES.items() if parts <= set(measured)]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m bench",
        description="Measure this application beside a plain generate loop. The checkpoint and the way it runs are the "
        "application's settings (BAICHUAN_…). Tables and plots go to bench/results/.",
    )
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it runs")
    parser.add_argument("--rounds", type=int, default=Plan.rounds, help="of what is repeated (default: %(default)s)")
    parser.add_argument(
        "--only", choices=PARTS, nargs="+", default=PARTS, metavar="PART", help=f"measure some of: {', '.join(PARTS)}"
    )
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="measure a GPU instead, with a model of Baichuan 2 7B's shape; --quick takes a tiny one, and a CPU",
    )
    parser.add_argument(
        "--large",
        action="store_true",
        help="measure a model of that shape on the CPU instead, its memory, and its speed beside what bandwidth allows "
        "(wants 24 GB of memory, and 15 GB of disk for the time); --quick takes a tiny one",
    )
    parser.add_argument("--url", help="measure an OpenAI-compatible server, too, such as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", help="the server's model; left out: the first that it offers")
    parser.add_argument("--key", help="the server's API key")
    parser.add_argument(
        "--publish", action="store_true", help="copy the pages that were measured as a whole to docs/bench/"
    )
    arguments = parser.parse_args()
    alone = [name for name in (GPU, LARGE) if getattr(arguments, name)]
    if alone:
        if len(alone) > 1 or arguments.only is not PARTS or arguments.url:
            parser.error(f"--{alone[0]} measures nothing else: leave out --only, --url and --{LARGE}.")
        if arguments.gpu and not arguments.quick and not torch.cuda.is_available():
            parser.exit(2, NO_GPU)
        arguments.only = alone
    if arguments.publish and (arguments.quick or not whole_pages(arguments.only)):
        whole = "; ".join(" ".join(sorted(parts)) for _, parts in PAGES.values() if parts <= set(PARTS))
        parser.error(f"--publish is for whole pages: leave out --quick, and measure all of: {whole}.")
    return arguments


if __name__ == "__main__":
    main()
