"""The command line of these programs: ``PROGRAM BASE_URL MODEL SCENARIO...``, each scenario a function of that name."""

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Mapping
from typing import Any

base_url, model, *_scenarios = sys.argv[1:]


def answer(functions: Mapping[str, Any]) -> None:
    """Print what each scenario returns as JSON, by its name; a failed one's traceback stands under ``failed``."""
    answers: dict[str, Any] = {"failed": {}}
    with asyncio.Runner() as loop:
        for scenario in _scenarios:
            try:
                value = functions[scenario]()
                answers[scenario] = loop.run(value) if inspect.iscoroutine(value) else value
            except Exception:  # noqa: BLE001 - the test of this scenario shows it
                answers["failed"][scenario] = traceback.format_exc()
    print(json.dumps(answers))
