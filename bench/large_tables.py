"""What a large model takes on a CPU, as a page of Markdown."""

from statistics import mean

from bench.card import Card, Loading
from bench.goals import large_goals
from bench.page import GIB, distinct, facts_of, table, whole_page
from bench.results import Results
from bench.throughput import context_of, summarize


def large_page(results: Results) -> str:
    """How much memory loading takes, how fast readers are served, and what the memory would allow."""
    head = "Made by `make bench ARGS=--large`: this application alone, in a process of its own.\n\n" + facts_of(results)
    parts = []
    if results.loading is not None and results.card is not None:
        parts = [_memory(results.loading), _readers(results, results.card)]
    return whole_page("A large model on a CPU", head, large_goals(results), parts)


def _memory(loading: Loading) -> str:
    row = (
        f"{loading.weights / GIB:.2f}",
        f"{loading.shard / GIB:.2f}",
        f"{loading.peak / GIB:.2f}",
        f"{loading.seconds:.0f}",
    )
    return "\n".join(
        [
            "## Memory",
            "",
            "What the process held at the most until the engine was there, beyond what it held before.",
            "",
            table(["Weights when loaded, GiB", "Largest file, GiB", "At the most, GiB", "Seconds"], [row]),
        ]
    )


def _readers(results: Results, card: Card) -> str:
    rows = []
    for readers in distinct(crowd.users for crowd in results.crowds):
        own = [crowd for crowd in results.crowds if crowd.users == readers]
        summary = summarize(own)
        most = card.most_tokens_per_second(readers, mean(map(context_of, own)))
        share = summary.tokens_per_second / most
        rows.append((readers, f"{summary.tokens_per_second:.2f}", f"{most:.2f}", f"{100 * share:.0f} %"))
    return "\n".join(
        [
            "## Speed",
            "",
            "All readers ask at the same moment; reading their prompts is included. At the most: readers over the "
            f"seconds in which the bandwidth, measured by copying ({card.bandwidth / 1e9:.1f} GB/s read and written), "
            f"reads the weights of a step ({card.weight_bytes / GIB:.2f} GiB) and the keys and values of all once.",
            "",
            table(["Readers", "Tokens/s in all", "At the most", "Reached"], rows),
        ]
    )
