"""What a GPU reaches, as a page of Markdown."""

from statistics import mean

from bench.card import Card
from bench.figures import paired_ratio
from bench.page import GIB, distinct, facts_of, table, whole_page
from bench.results import Results
from bench.targets import APPLICATION, BATCH
from bench.throughput import context_of, summarize


def gpu_page(results: Results) -> str:
    """How fast readers are served on a GPU, and what its memory would allow."""
    card = results.card
    assert card is not None
    return whole_page("On a GPU", _head(results, card), [], [_readers(results, card)])


def _head(results: Results, card: Card) -> str:
    about = "".join(
        [f", {card.memory / GIB:.0f} GiB" if card.memory else "", f", CUDA {card.cuda}" if card.cuda else ""]
    )
    return "\n".join(
        [
            "Made by `make bench ARGS=--gpu`. A target is measured alone in a process of its own, one after the other;",
            "every figure is a median over the rounds.",
            "",
            f"- Device: {card.name}{about}; {card.bandwidth / 1e9:.0f} GB/s read and written by copying",
            facts_of(results),
        ]
    )


def _readers(results: Results, card: Card) -> str:
    rows = []
    for readers in distinct(crowd.users for crowd in results.crowds):
        here = [crowd for crowd in results.crowds if crowd.users == readers]
        most = card.most_tokens_per_second(readers, mean(map(context_of, here)))
        for target in distinct(crowd.target for crowd in here):
            own, batch = ([crowd for crowd in here if crowd.target == name] for name in (target, BATCH))
            summary = summarize(own)
            ratio = paired_ratio([one.tokens_per_second for one in own], [one.tokens_per_second for one in batch])
            share = summary.tokens_per_second / most
            rows.append(
                (
                    readers,
                    target,
                    f"{summary.tokens_per_second:.1f}",
                    f"{ratio:.2f}",
                    f"{most:.1f}",
                    f"{100 * share:.0f} %",
                    f"{summary.cut_short} of {summary.replies}",
                )
            )
    header = ["Readers", "Target", "Tokens/s in all", "× generate", "At the most", "Reached", "Ended early"]
    weights, token = card.weight_bytes / GIB, card.token_bytes / 1024
    return "\n".join(
        [
            "## Many readers at once",
            "",
            f"Each asks at the same moment and gets up to {results.crowds[0].max_new_tokens} tokens; reading the "
            f"prompts is included. {APPLICATION.capitalize()} has places for all. `generate` is transformers' own, "
            "with all prompts in one batch, padded on the left, and its default cache, which grows. At the most: "
            "readers over the seconds in which the measured bandwidth reads the weights of a step "
            f"({weights:.2f} GiB) and the keys and values of all ({token:.0f} KiB a token) once.",
            "",
            table(header, rows),
        ]
    )
