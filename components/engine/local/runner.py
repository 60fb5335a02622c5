"""How a model is run: prefill a part of a prompt, or decode one token for each of many sequences.

A runner owns the keys and values of all blocks and knows no sequence: it is told where the tokens lie and at which
position they stand. So a call that fails, or whose result is not wanted, has changed nothing that counts: the same call
again writes the same places.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from components.engine.local.block_pool import BlockTable


class Runner(ABC):
    """A model and what it takes to run it. Not for several threads at once.

    Attributes:
        context_length: tokens that a sequence may have.
        bytes_per_token: memory of one token's keys and values.
        step_bytes: memory that is kept for decode steps beside the blocks, at the most.
        vocabulary: how many logits there are.
        device: where it computes.
        shares_beginnings: whether keys and values depend on the tokens up to them alone, so that another sequence that
            begins alike can use them.
    """

    context_length: int
    bytes_per_token: int
    step_bytes: int = 0
    vocabulary: int
    device: torch.device
    shares_beginnings: bool = True

    @abstractmethod
    def reserve(self, blocks: int) -> None:
        """Take the memory of so many blocks, in one piece and for good. Called once, before anything else."""

    @abstractmethod
    def prefill(self, table: BlockTable, begin: int, tokens: Sequence[int], all_logits: bool = False) -> torch.Tensor:
        """Read tokens behind the first ``begin`` ones of a sequence.

        Returns:
            float32 logits: ``[vocabulary]`` after the last token, or ``[n, vocabulary]`` after each.
        """

    @abstractmethod
    def decode(
        self,
        tables: Sequence[BlockTable],
        positions: Sequence[int],
        tokens: Sequence[int],
        exact: Sequence[bool] = (),
    ) -> torch.Tensor:
        """Read one token of each sequence.

        Args:
            tables: one for each sequence.
            positions: where each token stands; those before it have been read.
            tokens: one for each sequence.
            exact: which sequences get the same logits, to the bit, whoever else is in the batch; none if left out.

        Returns:
            float32 logits, ``[sequences, vocabulary]``.
        """

    def decode_known(self, table: BlockTable, begin: int, tokens: Sequence[int], exact: bool) -> torch.Tensor:
        """Read tokens of a sequence that are known already, as ``decode`` would read them one by one, to the bit.

        Args:
            table: the sequence's.
            begin: where the first of these tokens stands; those before it have been read.
            tokens: any number of them.
            exact: see ``decode``.

        Returns:
            float32 logits after each, ``[n, vocabulary]``.
        """
        each = enumerate(tokens, start=begin)
        return torch.cat([self.decode([table], [position], [token], [exact]) for position, token in each])
