"""The page's JavaScript finds what the server's Python finds."""

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from components.sampling.filters import Cut
from components.sampling.what_if import Outlook, look
from tests.browser.browsers import launch_chromium
from tests.sampling.steps import Case, alone, random_case
from tests.server import ROOT

SCRIPT = Path(__file__).with_name("look_at_cases.mjs")

CUTS: list[Cut | None] = [None, Cut.TEMPERATURE, Cut.TOP_K, Cut.TOP_P, Cut.MIN_P, None]
"""As the module numbers them; the last is one of them, it is not known which."""

CASES = 5000


def in_node(inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the module says."""
    asked = subprocess.run(["node", str(SCRIPT)], input=json.dumps(inputs), capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(asked.stdout)
    return found


def in_chromium(inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same in the browser of the browser tests, with the module in the page."""
    module = (ROOT / "components/ui/components/token_view/sampling.js").read_text()
    body = SCRIPT.read_text().split("const lens", 1)[1].rsplit("process.stdout", 1)[0]
    body = "const lens" + body.replace('JSON.parse(readFileSync(0, "utf8"))', "inputs") + "return found;"
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        page = browser.new_page()
        found: list[dict[str, Any]] = page.evaluate(
            f"(inputs) => {{ {module.replace('export ', '')}\n{body} }}", inputs
        )
        browser.close()
        return found


def as_input(case: Case, errors: list[float]) -> dict[str, Any]:
    """A case as the module takes it."""
    step, sampling, seen = case.step, case.sampling, case.seen
    is_extra = step.token not in step.ids
    ids = [*step.ids.tolist(), *([step.token] if is_extra else [])]
    names = (
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
    )
    return {
        "ids": ids,
        "scores": [*step.scores.tolist(), *([step.score] if is_extra else [])],
        "errors": [*errors, *([0.0] if is_extra else [])],
        "counts": [seen.counts.get(token, 0) for token in ids],
        "prompt": [int(token in seen.prompt) for token in ids],
        "step": {
            "count": len(ids),
            "isExtra": is_extra,
            "rest": step.rest if np.isfinite(step.rest) else None,
            "vocabulary": len(case.scores),
            "distinct": len(seen.counts.keys() | set(seen.prompt)),
            "inReply": len(seen.counts),
            "mostOften": max(seen.counts.values(), default=0),
        },
        "settings": {name: getattr(sampling, name) for name in names},
    }


def assert_same(outlook: Outlook, found: dict[str, Any]) -> None:
    assert outlook.ids.tolist() == found["ids"]
    np.testing.assert_allclose(found["odds"], outlook.odds, atol=1e-9)
    np.testing.assert_allclose(found["doubts"], outlook.errors, atol=1e-9)
    assert abs(outlook.error - found["error"]) < 1e-9
    assert outlook.cut == [CUTS[cut] for cut in found["cut"]]


@pytest.mark.parametrize("run", [in_node, in_chromium])
def test_both_find_the_same(run: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    if run is in_node and shutil.which("node") is None:
        pytest.skip("There is no node here; Chromium runs the same.")
    chance = random.Random(5)
    drawn = [random_case(chance) for _ in range(CASES)]
    errors = [chance.choice((0.0, 0.0, 1e-4, 0.01, 0.3)) for _ in drawn]
    offs = [[0.0, *[size] * (len(case.step.ids) - 1)] for case, size in zip(drawn, errors, strict=True)]
    drawn += [alone(random_case(chance)) for _ in range(CASES // 5)]
    offs += [[]] * (CASES // 5)
    found = run([as_input(case, off) for case, off in zip(drawn, offs, strict=True)])

    for case, off, one in zip(drawn, offs, found, strict=True):
        assert_same(look(case.step, len(case.scores), case.sampling, case.seen, np.array(off)), one)
