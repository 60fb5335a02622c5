from components.engine.line.fair_queue import FairQueue


def test_visitors_take_turns() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3"):
        queue.push("a", item)
    queue.push("b", "b1")
    queue.push("c", "c1")

    assert list(queue) == ["a1", "b1", "c1", "a2", "a3"]
    assert [queue.pop() for _ in range(len(queue))] == ["a1", "b1", "c1", "a2", "a3"]


def test_who_was_served_goes_behind_who_came_meanwhile() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "a1")
    queue.push("a", "a2")
    queue.push("b", "b1")
    assert queue.pop() == "a1"
    queue.push("c", "c1")

    assert list(queue) == ["b1", "a2", "c1"]


def test_an_item_can_leave_the_line() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.push("a", "a1")
    queue.push("b", "b1")
    queue.remove("a1")
    queue.remove("never there")

    assert list(queue) == ["b1"]
