"""``python -m bench``: measure, print, and write tables and plots."""

import argparse
import shutil
import tempfile
from pathlib import Path

from bench.plots import PLOTS, draw
from bench.run import PARTS, QUICK, Plan, measure
from bench.tables import page
from bench.targets import OpenAITarget
from components.settings import get_settings

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
PUBLISHED = ROOT / "docs" / "bench"


def main() -> None:
    """Do what the command line says."""
    arguments = _parse()
    server = OpenAITarget(arguments.url, arguments.model, arguments.key) if arguments.url else None
    plan = QUICK if arguments.quick else Plan(rounds=arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(plan, arguments.only, get_settings(), server, Path(folder))
    RESULTS.mkdir(parents=True, exist_ok=True)
    results.save(RESULTS / "results.json")
    (RESULTS / "table.md").write_text(text := page(results), encoding="utf-8")
    draw(results, RESULTS)
    print(f"\n{text}\nWritten to {RESULTS.relative_to(ROOT)}/.")
    if arguments.publish:
        publish(RESULTS, PUBLISHED)


def publish(results: Path, folder: Path) -> None:
    """Copy the table and the plots to where they are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(results / "table.md", folder / "README.md")
    for name in PLOTS:
        shutil.copy(results / f"{name}.png", folder)


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
    parser.add_argument("--url", help="measure an OpenAI-compatible server, too, such as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", help="the server's model; left out: the first that it offers")
    parser.add_argument("--key", help="the server's API key")
    parser.add_argument(
        "--publish", action="store_true", help="copy the table and the plots of a whole run to docs/bench/"
    )
    arguments = parser.parse_args()
    if arguments.publish and (arguments.quick or set(arguments.only) != set(PARTS)):
        parser.error("--publish is for a whole run: leave out --quick and --only.")
    return arguments


if __name__ == "__main__":
    main()
