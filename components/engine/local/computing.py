"""What the model is run for: pieces of prompts, a token for everybody, and the scores of what is written already.

All work on sequences whose keys and values lie in the blocks of one pool.
"""

from collections.abc import Sequence as ListOf

from components.engine.local.block_pool import BLOCK, BlockPool, BlockTable, blocks_for
from components.engine.local.reading import Reading
from components.engine.local.runner import Runner
from components.engine.local.sequence import PIECE, Sequence
from components.sampling.choosing import SampledToken, choose
from components.sampling.errors import SamplingError
from components.sampling.logprobs import logprobs_of
from components.sampling.loops import mildest_penalty
from components.sampling.sampler import Sampler

BLOCKS_OF_PIECE = PIECE // BLOCK

Choice = SampledToken | SamplingError
"""A token, or why there is none."""


class Computer:
    """Runs the model for sequences. Only one thread may use it.

    Attributes:
        pool: of the blocks in the runner's memory.
    """

    def __init__(self, runner: Runner, pool: BlockPool) -> None:
        """Use a ``runner`` whose memory is reserved."""
        self.pool = pool
        self._runner = runner

    def start_again(self) -> None:
        """Forget all sequences and what lies in the blocks."""
        self.pool = BlockPool(self.pool.capacity)

    def begin(self, sequence: Sequence) -> bool:
        """Give a sequence its blocks, those among them that others have read; whether there is room."""
        known = self._read_by_others(sequence)
        table = self.pool.allocate(known, blocks_for(sequence.room) - len(known))
        if table is None:
            return False
        sequence.begin(table, len(known) * BLOCK)
        return True

    def read_piece(self, sequence: Sequence) -> tuple[int, Choice | None]:
        """Read a sequence's next piece.

        Returns:
            How many tokens it counts as among those of a round, and what comes after the last piece of a prompt.
        """
        assert sequence.table is not None
        begin, end = sequence.computed, sequence.piece_end
        piece = sequence.tokens[begin:end]
        if sequence.reading is not None and not sequence.tells_prompt:
            self._read_scores(sequence, sequence.reading, end)
            return PIECE, None  # the pieces are small because others wait for what is made of all these scores
        read = None
        if sequence.tells_prompt:
            logits = self._runner.prefill(sequence.table, begin, piece, all_logits=True)
            followers = sequence.tokens[begin + 1 : end + 1]
            counts = [sequence.request.prompt_logprobs or 0] * len(followers)
            read = logprobs_of(logits[: len(followers)], followers, counts)
        else:
            logits = self._runner.prefill(sequence.table, begin, piece)[None]
        chooses = end == sequence.prompt and sequence.request.writes
        choice = choose(logits[-1:], [_sampler(sequence)])[0] if chooses else None
        self.note_computed(sequence, end)
        if read is not None:
            sequence.note_prompt(read)
        return end - begin, choice

    def use_what_others_read(self, sequence: Sequence) -> None:
        """Go on from where somebody with the same beginning has read meanwhile."""
        assert sequence.table is not None
        for block in self._read_by_others(sequence):
            self.pool.share(sequence.table, sequence.computed // BLOCK, block)
            sequence.computed += BLOCK
            sequence.reused += BLOCK

    def decode(self, ready: ListOf[Sequence]) -> ListOf[Choice]:
        """The next token of each. Changes no sequence, whatever happens."""
        logits = self._runner.decode(
            [sequence.table for sequence in ready if sequence.table is not None],
            [sequence.computed for sequence in ready],
            [sequence.tokens[-1] for sequence in ready],
            [sequence.exact for sequence in ready],
        )
        return choose(logits, [_sampler(sequence) for sequence in ready])

    def note_computed(self, sequence: Sequence, computed: int) -> None:
        """The keys and values of so many of a sequence's tokens are there; others may use those of full blocks."""
        before, sequence.computed = sequence.computed, computed
        for block, key in sequence.full_blocks(before):
            self.pool.note_full(block, key)

    def mildest_penalty(self, sequence: Sequence) -> float | None:
        """The mildest repetition penalty that would have led out of the circle that a reply went round in.

        Its last round is read again for the logits at each of its tokens, into blocks of its own, because others may
        use the ones in which it lies.
        """
        assert sequence.table is not None
        assert sequence.loop is not None
        last = len(sequence.tokens) - 1
        first = last - sequence.loop
        begin = first // BLOCK * BLOCK
        scratch = self.pool.allocate([], blocks_for(last) - begin // BLOCK)
        if scratch is None:
            return None
        try:
            table = BlockTable(sequence.table.blocks[: begin // BLOCK], scratch.blocks)
            logits = self._runner.prefill(table, begin, sequence.tokens[begin:last], all_logits=True)[first - begin :]
        finally:
            self.pool.release(scratch)
        above = sequence.request.sampling.repetition_penalty
        return mildest_penalty(logits, sequence.tokens[first + 1 :], sequence.tokens, above)

    def _read_scores(self, sequence: Sequence, reading: Reading, end: int) -> None:
        """Read a piece of a reply that is written already, or of its prompt, with the scores after each token.

        A failure ends it, so it need not be all or nothing.
        """
        assert sequence.table is not None
        begin, tokens = sequence.computed, sequence.tokens
        piece = tokens[begin:end]
        if begin < reading.reply:
            after, logits = end - 1, self._runner.prefill(sequence.table, begin, piece)[None]
        else:
            after, logits = begin, self._runner.decode_known(sequence.table, begin, piece, sequence.exact)
        unwanted = max(0, reading.first - after)
        if unwanted < len(logits):
            reading.take(logits[unwanted:], after + unwanted, tokens, _sampler(sequence))
        self.note_computed(sequence, end)
        if end == sequence.prompt:
            sequence.generation.put(reading.told())

    def _read_by_others(self, sequence: Sequence) -> list[int]:
        """The blocks with which a sequence could go on; of an exact one those of whole pieces."""
        blocks: list[int] = []
        if self._runner.shares_beginnings:
            for key in sequence.shareable_keys()[sequence.computed // BLOCK :]:
                if (block := self.pool.find(key)) is None:
                    break
                blocks.append(block)
        if sequence.exact:
            return blocks[: len(blocks) // BLOCKS_OF_PIECE * BLOCKS_OF_PIECE]
        if sequence.reading is not None and sequence.computed + len(blocks) * BLOCK < sequence.reading.reply:
            # What is not known of the prompt is read in the pieces in which it was read then, for the same bits.
            return blocks[: max(0, sequence.request.reused - sequence.computed) // BLOCK]
        return blocks


def _sampler(sequence: Sequence) -> Sampler:
    """Of a sequence whose turn has come."""
    assert sequence.sampler is not None
    return sequence.sampler
