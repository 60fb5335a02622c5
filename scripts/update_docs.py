"""Writes the parts of the documents that others know better: settings and files from the code, figures from the bench.

A part stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``. The tests fail while a part is out of date.
"""

import ast
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from components.settings import ENV_PREFIX, Settings  # noqa: E402

OTHER_FOLDERS = {
    "bench/": "side-by-side measurements: `make bench`; docs/bench/ keeps the newest",
    "docs/": "guides longer than README.md, and its pictures",
    "scripts/": "what the Makefile calls",
    "tests/": "as components/ is laid out; browser/ drives a real one, clients/ runs others' programs, "
    "fixtures/ holds a tiny reference checkpoint",
}

HIGHLIGHTS = {
    "tokens/s of one reader, times plain generate": "一个人时的速度，是普通 generate 的多少倍",
    "tokens/s of 8 readers at once, times plain generate": "8 个人同时使用时的总速度，是普通 generate 的多少倍",
    "first text after 1,400 tokens of known history, s": "已有 1,400 个 token 的历史时，多少秒出现第一个字",
    "opening a conversation of 1,000 messages, s": "打开有 1,000 条消息的对话，秒",
    "95 % of what readers do with conversations in SQLite, s": "十万条消息中列出、打开、搜索、发送，95% 在多少秒内",
    "keeping 8 growing replies in SQLite, computing as a share of their time": "保存 8 条正在书写的回答，占用的时间",
}
"""Goals that README.md shows, as docs/bench/ and as README.zh.md call them."""

PAGES = ("README.md", "conversations.md")
"""Of docs/bench/."""


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
    """The most telling figures of the latest published measurements."""
    rows = [f"| {what} | {wanted} | {reached} |" for what, (wanted, reached) in _highlights().items()]
    return "\n".join(["| On a CPU, with the demo model | Goal | Reached |", "|---|---:|---:|", *rows])


def measurements_in_chinese() -> str:
    """The same."""
    rows = [f"| {HIGHLIGHTS[what]} | {wanted} | {reached} |" for what, (wanted, reached) in _highlights().items()]
    return "\n".join(["| 在 CPU 上，演示模型 | 目标 | 结果 |", "|---|---:|---:|", *rows])


PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"measurements": measurements},
    "README.zh.md": {"measurements": measurements_in_chinese},
    "docs/settings.md": {"settings": settings_table},
    "docs/layout.md": {"files": file_tree},
}
"""Each document with its parts."""


def update(document: str, text: str) -> str:
    """The text of a document with its parts made anew."""
    for name, make in PARTS[document].items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(begin)
        if end not in rest:
            raise SystemExit(f"{document} has no line {begin.strip()} with {end} after it.")
        text = f"{before}{begin}{make()}\n{end}{rest.partition(end)[2]}"
    return text


def _highlights() -> dict[str, tuple[str, str]]:
    goals: dict[str, tuple[str, str]] = {}
    for page in PAGES:
        text = (ROOT / "docs" / "bench" / page).read_text(encoding="utf-8")
        rows = re.findall(r"^\| (.+?) \| ([<≤≥].+?) \| (.+?) \| .+ \|$", text, re.MULTILINE)
        goals |= {what: (wanted, reached) for what, wanted, reached in rows}
    return {what: goals[what] for what in HIGHLIGHTS}


def _remark(path: Path) -> str:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    sentence = re.split(r"(?<=\.)\s|\n\n", docstring, maxsplit=1)[0]
    return " ".join(sentence.replace("``", "").split())


if __name__ == "__main__":
    for document in PARTS:
        file = ROOT / document
        file.write_text(update(document, file.read_text(encoding="utf-8")), encoding="utf-8")
