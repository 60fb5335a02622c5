"""Signing in again gives nobody a new share, and a second person on the same network still has one."""

import pytest

from components.engine.errors import LimitError
from components.engine.interface import GenerationRequest
from components.engine.line.limits import DAY, Limits, limits_of
from components.model.chat_format import Message
from components.settings import Settings
from tests.conftest import Clock
from tests.engine.line.test_limits import ask
from tests.scripted_engine import ScriptedEngine

HOME, ELSEWHERE = "192.0.2.9", "198.51.100.4"
QUESTION: list[Message] = [{"role": "user", "content": "hi"}]


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


def served(limits: Limits, names: list[str], address: str, tokens: int = 0) -> int:
    """How many replies people of these names get who ask until they are refused."""
    count = 0
    for name in names:
        for _ in range(100):
            try:
                limits.begin(name, address)
            except LimitError:
                break
            limits.end(name, tokens, address)
            count += 1
    return count


@pytest.mark.parametrize("shares", [1, 2, 5])
def test_however_often_somebody_signs_in_an_address_has_so_many_shares(clock: Clock, shares: int) -> None:
    limits = Limits(requests_per_minute=3, clock=clock, address_shares=shares)
    assert served(limits, [f"sign-in {number}" for number in range(50)], HOME) == 3 * shares
    assert served(limits, ["somebody"], ELSEWHERE) == 3, "another address has its own"
    with pytest.raises(LimitError, match=f"{3 * shares} requests from your network address within a minute"):
        limits.begin("new", HOME)
    clock.now += 61
    assert served(limits, ["new"], HOME) == 3


def test_two_people_on_one_network_have_their_whole_shares(clock: Clock) -> None:
    limits = Limits(requests_per_minute=3, replies_at_once=1, tokens_per_day=1000, clock=clock, address_shares=2)
    assert served(limits, ["anna"], HOME) == 3
    assert served(limits, ["bo"], HOME) == 3


def test_replies_at_once_count_by_address(clock: Clock) -> None:
    limits = Limits(replies_at_once=2, clock=clock, address_shares=2)
    for number in range(4):
        limits.begin(f"sign-in {number}", HOME)
    with pytest.raises(LimitError, match="4 replies from your network address are being written already"):
        limits.begin("new", HOME)
    limits.begin("new", ELSEWHERE)
    limits.end("sign-in 2", 5, HOME)
    limits.begin("new", HOME)


def test_tokens_of_a_day_count_by_address(clock: Clock) -> None:
    limits = Limits(tokens_per_day=100, clock=clock, address_shares=2)
    assert served(limits, [f"sign-in {number}" for number in range(9)], HOME, tokens=50) == 4
    with pytest.raises(LimitError, match="200 tokens of a day from your network address are used up"):
        limits.begin("new", HOME)
    clock.now += DAY + 1
    limits.begin("new", HOME)


def test_a_refusal_counts_neither_for_the_name_nor_for_the_address(clock: Clock) -> None:
    limits = Limits(requests_per_minute=2, replies_at_once=1, clock=clock, address_shares=2)
    limits.begin("anna", HOME)
    for _ in range(10):
        with pytest.raises(LimitError, match="of your replies"):
            limits.begin("anna", HOME)
    limits.end("anna", 0, HOME)
    assert served(limits, ["bo", "cy"], HOME) == 3


def test_who_has_no_address_is_counted_by_name_alone(clock: Clock) -> None:
    limits = Limits(requests_per_minute=2, clock=clock, address_shares=1)
    assert served(limits, ["key one", "key two"], "") == 4


def test_without_the_setting_addresses_do_not_count() -> None:
    settings = Settings.model_validate({"requests_per_minute": 2, "address_shares": 0})
    assert served(limits_of(settings), ["anna", "bo", "cy"], HOME) == 6


def test_by_default_two_shares_are_an_addresss() -> None:
    limits = limits_of(Settings.model_validate({"requests_per_minute": 3}))
    assert served(limits, ["1", "2", "3", "4"], HOME) == 6


def test_thousands_of_names_from_thousands_of_addresses_are_forgotten_and_none_of_those_being_served(
    clock: Clock,
) -> None:
    limits = Limits(requests_per_minute=1, replies_at_once=1, clock=clock, address_shares=1)
    limits.begin("anna", HOME)
    clock.now += 61
    for number in range(3000):
        ask(limits, f"name {number}")
        clock.now += 61
    assert len(limits._accounts) < 1100
    with pytest.raises(LimitError, match="being written"):
        limits.begin("bo", HOME)
    limits.end("anna", 1, HOME)
    limits.begin("bo", HOME)


def test_the_engine_tells_both_that_a_reply_has_ended(engine: ScriptedEngine) -> None:
    engine.limits = Limits(replies_at_once=1, address_shares=1)
    for name in ("anna", "bo", "cy"):
        list(engine.generate(GenerationRequest(QUESTION, visitor=name, limited=True, address=HOME)))


def test_the_engine_counts_both(engine: ScriptedEngine) -> None:
    engine.limits = Limits(requests_per_minute=1, address_shares=2)
    for name in ("anna", "bo"):
        list(engine.generate(GenerationRequest(QUESTION, visitor=name, limited=True, address=HOME)))
    with pytest.raises(LimitError, match="network address"):
        engine.generate(GenerationRequest(QUESTION, visitor="cy", limited=True, address=HOME))
    list(engine.generate(GenerationRequest(QUESTION, visitor="cy", limited=True, address=ELSEWHERE)))
    list(engine.generate(GenerationRequest(QUESTION, visitor="owner", address=HOME)))
