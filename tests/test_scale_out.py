"""The sizing tables of docs/scale-out.md follow from the assumptions that stand above them."""

import re

import pytest

from tests.server import ROOT

WEIGHTS = 7.506e9 * 2
READ_IN_A_STEP = WEIGHTS - 125_696 * 4096 * 2
BYTES_PER_TOKEN = 32 * 2 * 4096 * 2
CONVERSATION_BYTES = 1500 * BYTES_PER_TOKEN


def sized(gibibytes: int, bandwidth: int) -> list[int]:
    """Tokens/s for one reply, replies at once, tokens/s for each and for all of them, readers."""

    def tokens_per_second(replies: int) -> float:
        return bandwidth * 1e9 * 0.6 / (READ_IN_A_STEP + replies * CONVERSATION_BYTES)

    replies = int((gibibytes * 2**30 * 0.9 - WEIGHTS - 1.5e9) / CONVERSATION_BYTES)
    together = replies * tokens_per_second(replies)
    return [
        round(tokens_per_second(1)),
        replies,
        round(tokens_per_second(replies)),
        round(together),
        round(together * 0.7 / 5),
    ]


@pytest.mark.parametrize("guide", ["scale-out.md", "scale-out.zh.md"])
def test_the_sizing_table_follows_from_its_assumptions(guide: str) -> None:
    text = (ROOT / "docs" / guide).read_text(encoding="utf-8")
    table = text.partition("<!-- sizing -->")[2].partition("<!-- /sizing -->")[0]
    rows = [
        [int(cell.replace(",", "")) for cell in re.findall(r"\| ([\d,]+) (?=\|)", row)]
        for row in table.strip().splitlines()[2:]
    ]

    assert rows
    for memory, bandwidth, *figures in rows:
        assert figures == sized(memory, bandwidth)
