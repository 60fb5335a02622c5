"""How long a wrong code makes somebody wait. The clock is the test's."""

from components.access.attempts import FORGET_SECONDS, MAX_ADDRESSES, OVERALL, PER_ADDRESS, Attempts

ADDRESS, OTHER = "203.0.113.1", "203.0.113.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(attempts: Attempts, address: str, times: int) -> None:
    for _ in range(times):
        attempts.failed(address)


def test_some_typing_errors_cost_nothing() -> None:
    attempts = Attempts(Clock())
    fail(attempts, ADDRESS, PER_ADDRESS.free - 1)
    assert attempts.wait(ADDRESS) == 0


def test_the_wait_grows_and_has_an_end() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    fail(attempts, ADDRESS, PER_ADDRESS.free)
    waits = []
    for _ in range(12):
        waits.append(attempts.wait(ADDRESS))
        clock.now += attempts.wait(ADDRESS)
        assert attempts.wait(ADDRESS) == 0
        attempts.failed(ADDRESS)
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == PER_ADDRESS.longest


def test_others_do_not_wait_for_one_address() -> None:
    attempts = Attempts(Clock())
    fail(attempts, ADDRESS, PER_ADDRESS.free + 5)
    assert attempts.wait(OTHER) == 0


def test_many_addresses_together_wait_too_but_not_long() -> None:
    attempts = Attempts(Clock())
    for number in range(OVERALL.free + 30):
        attempts.failed(f"198.51.100.{number}")
    assert 0 < attempts.wait(OTHER) <= OVERALL.longest


def test_where_a_right_code_came_from_strangers_tries_do_not_matter() -> None:
    attempts = Attempts(Clock())
    attempts.succeeded(OTHER)
    for number in range(OVERALL.free + 30):
        attempts.failed(f"198.51.100.{number}")
    assert attempts.wait(OTHER) == 0


def test_a_right_code_and_an_hour_make_good() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    fail(attempts, ADDRESS, PER_ADDRESS.free + 3)
    fail(attempts, OTHER, PER_ADDRESS.free + 3)
    attempts.succeeded(ADDRESS)
    assert attempts.wait(ADDRESS) == 0
    assert attempts.wait(OTHER) > 0
    clock.now += FORGET_SECONDS + 1
    assert attempts.wait(OTHER) == 0
    attempts.failed(OTHER)
    assert attempts.wait(OTHER) == 0


def test_an_ipv6_network_counts_as_one_address() -> None:
    attempts = Attempts(Clock())
    for number in range(PER_ADDRESS.free):
        attempts.failed(f"2001:db8::{number:x}")
    assert attempts.wait("2001:db8::ffff") > 0
    assert attempts.wait("2001:db8:0:1::1") == 0
    fail(attempts, "::ffff:203.0.113.9", PER_ADDRESS.free)
    assert attempts.wait("203.0.113.9") > 0


def test_memory_is_bounded() -> None:
    attempts = Attempts(Clock())
    for number in range(MAX_ADDRESSES + 10):
        attempts.failed(f"host-{number}")
        attempts.succeeded(f"friend-{number}")
    assert len(attempts._wrong) == len(attempts._known) == MAX_ADDRESSES
