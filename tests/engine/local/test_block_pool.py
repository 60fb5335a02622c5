"""Blocks are counted by those who use them, whoever comes and goes in whatever order."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from components.engine.local.block_pool import BLOCK, BlockPool, BlockTable, key_after

CAPACITY = 12


def keys_of(tokens: list[int]) -> list[bytes]:
    keys, previous = [], b""
    for token in tokens:
        keys.append(previous := key_after(previous, [token] * BLOCK))
    return keys


class Owners(RuleBasedStateMachine):
    """Sequences of a few blocks that often begin alike. A number stands for each block's tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(CAPACITY)
        self.running: list[tuple[BlockTable, list[int], int]] = []  # table, tokens, blocks written
        self.content: dict[int, tuple[int, ...]] = {}  # what stands in a block: all tokens up to its end

    @rule(tokens=st.lists(st.integers(0, 1), min_size=1, max_size=5))
    def begin(self, tokens: list[int]) -> None:
        shared = []
        for key in keys_of(tokens):
            if (block := self.pool.find(key)) is None:
                break
            shared.append(block)
        used = {block for table, _, _ in self.running for block in table.blocks}
        table = self.pool.allocate(shared, len(tokens) - len(shared))
        if table is None:
            assert len(used | set(shared)) + len(tokens) - len(shared) > CAPACITY, "there was room"
            return
        assert not used & set(table.blocks[len(shared) :]), "somebody else's block was given away"
        for index, block in enumerate(shared):
            assert self.content[block] == tuple(tokens[: index + 1]), "the block holds something else"
        self.running.append((table, tokens, len(shared)))

    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        """The next block becomes full, or another one's is used instead."""
        if open_ := [one for one in self.running if one[2] < len(one[1])]:
            table, tokens, done = data.draw(st.sampled_from(open_))
            key = keys_of(tokens)[done]
            if (block := self.pool.find(key)) is not None:
                self.pool.share(table, done, block)
                assert self.content[block] == tuple(tokens[: done + 1])
            else:
                self.content[table.blocks[done]] = tuple(tokens[: done + 1])
                self.pool.note_full(table.blocks[done], key)
            self.running[self.running.index((table, tokens, done))] = (table, tokens, done + 1)

    @rule(data=st.data(), keep=st.booleans())
    def end(self, data: st.DataObject, keep: bool) -> None:
        if self.running:
            table, tokens, done = data.draw(st.sampled_from(self.running))
            self.running.remove((table, tokens, done))
            own = [block for block in table.blocks[:done] if block in table.own]
            self.pool.release(table, keep)
            for key, block in zip(keys_of(tokens), table.blocks, strict=True):
                assert keep or block not in own or self.pool.find(key) != block, "a failed one's block can be found"

    @invariant()
    def every_block_is_counted_once(self) -> None:
        users = Counter(block for table, _, _ in self.running for block in table.blocks)
        assert self.pool.used == len(users)
        assert 0 <= self.pool.used + self.pool.idle <= CAPACITY


TestOwners = Owners.TestCase
TestOwners.settings = settings(max_examples=150, stateful_step_count=30, deadline=None, database=None)


def full(pool: BlockPool, tokens: list[int]) -> BlockTable:
    table = pool.allocate([], len(tokens))
    assert table is not None
    for block, key in zip(table.blocks, keys_of(tokens), strict=True):
        pool.note_full(block, key)
    return table


def test_what_was_not_used_for_the_longest_time_goes_first_and_ends_before_beginnings() -> None:
    pool = BlockPool(6)
    for tokens in ([1, 1, 1], [2, 2, 2]):
        pool.release(full(pool, tokens))
    again = pool.allocate([block for key in keys_of([1]) if (block := pool.find(key)) is not None], 0)
    assert again is not None
    pool.release(again)  # the first one's beginning has been used since

    def kept() -> tuple[int, int]:
        """How many blocks of each can still be used, from its beginning on."""
        one, two = ([*(pool.find(key) for key in keys_of([number] * 3)), None] for number in (1, 2))
        return one.index(None), two.index(None)

    left = []
    for count in range(1, 7):
        table = pool.allocate([], count)
        assert table is not None
        left.append(kept())
        pool.release(table)
    assert left == [(2, 3), (1, 3), (1, 2), (1, 1), (1, 0), (0, 0)]


def test_a_sequence_lies_in_one_piece_while_there_is_one() -> None:
    pool = BlockPool(10)
    tables = [pool.allocate([], 2) for _ in range(5)]
    assert all(table is not None and len(table.spans(0, 2 * BLOCK)) == 1 for table in tables)
    for index in (1, 3, 4):
        table = tables[index]
        assert table is not None
        pool.release(table)
    four, two = pool.allocate([], 4), pool.allocate([], 2)
    assert four is not None
    assert two is not None
    assert len(four.spans(0, 4 * BLOCK)) == 1
    assert len(two.spans(0, 2 * BLOCK)) == 1


def test_the_smallest_gap_is_used_so_that_large_ones_stay_whole() -> None:
    pool = BlockPool(8)
    tables = [pool.allocate([], count) for count in (4, 1, 2, 1)]
    for index in (0, 2):
        table = tables[index]
        assert table is not None
        pool.release(table)
    two = pool.allocate([], 2)

    assert tables[2] is not None
    assert two is not None
    assert two.blocks == tables[2].blocks


def test_the_beginning_itself_is_no_room() -> None:
    pool = BlockPool(4)
    first = full(pool, [1, 2])
    pool.release(first)

    assert pool.allocate(first.blocks, 3) is None
    assert [pool.find(key) for key in keys_of([1, 2])] == list(first.blocks)
    assert pool.allocate(first.blocks, 2) is not None


def test_a_conversation_that_goes_on_lies_behind_its_beginning() -> None:
    """Though a smaller gap would do."""
    pool = BlockPool(20)
    gap, other = pool.allocate([], 4), pool.allocate([], 1)
    first = full(pool, [1, 2, 3])
    assert gap is not None
    pool.release(gap)
    pool.release(first)
    later = pool.allocate(first.blocks, 4)

    assert other is not None
    assert later is not None
    assert len(later.spans(0, 7 * BLOCK)) == 1


def test_spans_name_the_slots_in_the_order_of_the_tokens() -> None:
    table = BlockTable([7, 8], [3, 4, 9])
    slots = [slot for block in (7, 8, 3, 4, 9) for slot in range(block * BLOCK, (block + 1) * BLOCK)]
    for begin in range(0, 5 * BLOCK, 7):
        for end in range(begin + 1, 5 * BLOCK + 1, 5):
            spans = table.spans(begin, end)
            assert [slot for first, last in spans for slot in range(first, last)] == slots[begin:end]
            assert len(spans) <= 3


def test_blocks_with_other_tokens_before_them_have_other_keys() -> None:
    assert key_after(key_after(b"", [1] * BLOCK), [3] * BLOCK) != key_after(key_after(b"", [2] * BLOCK), [3] * BLOCK)
    assert key_after(b"", [1] * BLOCK) != key_after(b"exact", [1] * BLOCK)
