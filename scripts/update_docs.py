"""Writes the parts of README.md that others know better: settings and files from the code, figures from the bench.

A part stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``. The tests fail while a part is out of date.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from components.settings import ENV_PREFIX, Settings  # noqa: E402

OTHER_FOLDERS = {
    "bench/": "side-by-side measurements: `make bench`; docs/bench/ keeps the newest",
    "docs/": "guides longer than this page",
    "scripts/": "what the Makefile calls",
    "tests/": "as components/ is laid out; browser/ drives a real one, clients/ runs others' programs, "
    "fixtures/ holds a tiny reference checkpoint",
}


def settings_table() -> str:
    """Every setting with its default and meaning."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, ()) else f"`{field.default}`"
        rows.append(f"| `{ENV_PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def file_tree() -> str:
    """Every file that runs, with the first sentence of what it says of itself."""
    lines = [f"{path.name:<24}{_remark(path)}" for path in sorted(ROOT.glob("*.py"))]
    for folder in sorted(path.parent for path in (ROOT / "components").rglob("__init__.py")):
        lines.append(f"{folder.relative_to(ROOT).as_posix() + '/':<24}{_remark(folder / '__init__.py')}")
        modules = (path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py")
        lines += [f"  {path.name:<22}{_remark(path)}" for path in modules]
    lines += [f"{folder:<24}{remark}" for folder, remark in OTHER_FOLDERS.items()]
    return "\n".join(["```text", *lines, "```"])


def measurements() -> str:
    """What the latest published measurements reached, and on which machine."""
    text = (ROOT / "docs" / "bench" / "README.md").read_text(encoding="utf-8")
    setup = re.findall(r"^- (?:Machine|Model): .*", text, re.MULTILINE)
    goals = text.partition("## Goals\n\n")[2].partition("\n\n##")[0]
    return "\n".join([*setup, "", goals])


def update(text: str) -> str:
    """The text with its parts made anew."""
    for name, part in (("settings", settings_table()), ("measurements", measurements()), ("files", file_tree())):
        begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        if end not in rest:
            raise SystemExit(f"README.md has no lines {begin.strip()} and {end.strip()} with something between them.")
        text = before + begin + part + end + rest.partition(end)[2]
    return text


def _remark(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    sentence = re.split(r"(?<=\.)\s|\n\n", docstring, maxsplit=1)[0]
    return " ".join(sentence.replace("``", "").split())


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(update(readme.read_text(encoding="utf-8")), encoding="utf-8")
