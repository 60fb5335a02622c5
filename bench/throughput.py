"""1, 4, 8 and 16 readers ask at once: how fast are all of them served, and how long does each wait?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median

from bench.figures import paired_ratio, percentile
from bench.questions import question
from bench.targets import Answer, Target


@dataclass(frozen=True)
class Crowd:
    """Readers who asked one target at the same moment; ``seconds`` is until the last of them was served."""

    target: str
    round: int
    users: int
    max_new_tokens: int
    seconds: float
    answers: tuple[Answer, ...]

    @property
    def tokens_per_second(self) -> float:
        """Of all readers together."""
        return sum(answer.tokens for answer in self.answers) / self.seconds

    @property
    def cut_short(self) -> int:
        """How many replies ended before they were as long as wanted."""
        return sum(answer.tokens < self.max_new_tokens for answer in self.answers)


@dataclass(frozen=True)
class CrowdSummary:
    """All rounds of one target and number of users. Times in seconds; ``per_user``: tokens/s from asking to the end."""

    tokens_per_second: float
    per_user: float
    first_median: float
    first_95: float
    cut_short: int
    replies: int


def summarize(crowds: Sequence[Crowd]) -> CrowdSummary:
    """Medians over rounds and readers."""
    answers = [answer for crowd in crowds for answer in crowd.answers]
    firsts = [answer.first for answer in answers]
    return CrowdSummary(
        tokens_per_second=median(crowd.tokens_per_second for crowd in crowds),
        per_user=median(answer.tokens / answer.seconds for answer in answers),
        first_median=median(firsts),
        first_95=percentile(firsts, 95),
        cut_short=sum(crowd.cut_short for crowd in crowds),
        replies=len(answers),
    )


def speed_ratio(crowds: Sequence[Crowd], target: str, peer: str, users: int) -> float | None:
    """Tokens per second of one target, times those of another with as many readers; None without both."""
    speeds = [
        [crowd.tokens_per_second for crowd in crowds if (crowd.target, crowd.users) == (name, users)]
        for name in (target, peer)
    ]
    return paired_ratio(*speeds) if all(speeds) else None


def context_of(crowd: Crowd) -> float:
    """How many tokens a reader has in a step, on the average."""
    return mean(answer.prompt_tokens + answer.tokens / 2 for answer in crowd.answers)


def measure_throughput(
    targets: Sequence[Target], users: Sequence[int], max_new_tokens: int, rounds: int
) -> Iterator[Crowd]:
    """One crowd after the other; who comes first changes from round to round."""
    for number in range(rounds):
        for count in users:
            for target in targets if number % 2 == 0 else reversed(targets):
                conversations = [question(reader, f"Round {number}.{count}") for reader in range(count)]
                seconds, answers = target.answer_at_once(conversations, max_new_tokens)
                yield Crowd(target.name, number, count, max_new_tokens, seconds, tuple(answers))
