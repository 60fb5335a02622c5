"""The scores that are kept of a reply: of each step the likeliest tokens, and what the rest comes to together.

They are kept as the model gave them, before biases, penalties and temperature, so that what other parameters would have
done can be worked out afterwards. Scores are packed as they are, in float32: rounded to fewer bits, two tokens could
become equal that were not, and top_k would keep one too many. Models compute in bfloat16 mostly, whose numbers have
16 bits of zeros there, and beside each other differ by little: packed, a score takes a few bits then.
"""

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

VERSION = 1
"""Of the packed form."""

_MAGIC = b"KS"
_HEAD = struct.Struct("<2sBBIII")  # magic, version, flags, vocabulary, steps, texts
_NORMALIZED = 1
_SIGN = np.uint32(1 << 31)


class KeptScoresError(ValueError):
    """The data are no kept scores, of another version, damaged or cut off; the text says which."""


@dataclass(frozen=True, eq=False)
class StepScores:
    """One step of decoding.

    Attributes:
        ids: token ids, ``[k]``, the likeliest first, of equal scores the smaller id first; none where another server
            does not tell which tokens were likely.
        scores: their logits as the model gave them, before biases and penalties, ``[k]``.
        rest: log of the sum of exp(score) over all tokens that are not in ``ids``, at temperature 1; -inf for none.
        token: the id of the token that was chosen.
        score: its logit; it may be none of ``ids``. NaN where another server does not tell it.
    """

    ids: NDArray[np.int32]
    scores: NDArray[np.float32]
    rest: float
    token: int
    score: float

    def __eq__(self, other: object) -> bool:
        """Whether every number is the same."""
        if not isinstance(other, StepScores):
            return NotImplemented
        return (
            np.array_equal(self.ids, other.ids)
            and np.array_equal(self.scores, other.scores)
            and (self.rest, self.token) == (other.rest, other.token)
            and np.array_equal(self.score, other.score, equal_nan=True)
        )

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def of_logprobs(cls, ids: Sequence[int], logprobs: Sequence[float], token: int, logprob: float | None) -> Self:
        """A step of which a server tells log probabilities.

        Args:
            ids: the likeliest tokens, in any order; none where it does not tell them. Then all there is of this step
                is the token that came, and nothing says that no other was likelier: so it stands beside ``ids``, as
                every token that is none of the likeliest.
            logprobs: theirs.
            token: the one that was chosen.
            logprob: its own; None where it is not told, and is known only if the token is one of the likeliest.
        """
        scores = np.array(logprobs, dtype=np.float32)
        order = np.lexsort((np.array(ids, dtype=np.int32), -scores))
        others = 1.0 - float(np.exp(scores.astype(np.float64)).sum())
        rest = math.log(others) if others > 0 else -math.inf
        if logprob is None:
            logprob = next((own for id_, own in zip(ids, logprobs, strict=True) if id_ == token), math.nan)
        return cls(np.array(ids, dtype=np.int32)[order], scores[order], rest, token, logprob)

    @property
    def is_known(self) -> bool:
        """Whether anything is known of how likely the tokens were."""
        return bool(len(self.ids)) or not math.isnan(self.score)


@dataclass(frozen=True)
class KeptScores:
    """A whole reply's.

    Attributes:
        vocabulary: how many tokens there are; 0 where that is not known.
        steps: one for each token of the reply, and where a token ended it that is no part of it (``</s>``), one more
            for that.
        normalized: whether the scores are natural log probabilities, as other servers tell them, and no logits.
            Temperature and the cuts do the same to both; a repetition penalty does not.
        texts: the tokens' bytes where a server tells no ids: ``ids`` and ``token`` are places in it then.
    """

    vocabulary: int
    steps: Sequence[StepScores]
    normalized: bool = False
    texts: Sequence[bytes] = ()

    def before(self, tokens: Sequence[int]) -> Self | None:
        """The scores of a reply that begins with these tokens, whatever followed; None where they are not known.

        The last token may be another one than was chosen, of those whose score is kept: a reply that turns off there.
        """
        steps = list(self.steps[: len(tokens)])
        if len(steps) < len(tokens) or self.texts:
            return None
        if steps and steps[-1].token != tokens[-1]:
            last = steps[-1]
            found = np.flatnonzero(last.ids == tokens[-1])
            if not len(found):
                return None
            steps[-1] = replace(last, token=tokens[-1], score=float(last.scores[found[0]]))
        if [step.token for step in steps] != list(tokens):
            return None
        return replace(self, steps=tuple(steps))

    def pack(self) -> bytes:
        """For the store: at most about 170 bytes a step of 50 tokens from a model in bfloat16, 260 in float32."""
        steps = self.steps
        flags = _NORMALIZED if self.normalized else 0
        head = _HEAD.pack(_MAGIC, VERSION, flags, self.vocabulary, len(steps), len(self.texts))
        ids = _joined([step.ids for step in steps], np.int32)
        scores = _joined([step.scores for step in steps], np.float32)
        parts = [
            _planes(np.array([len(step.ids) for step in steps], dtype=np.uint32)),
            _planes(ids.astype(np.uint32)),
            _planes(_differences(scores)),
            np.array([step.rest for step in steps], dtype="<f8").tobytes(),
            _planes(np.array([step.token for step in steps], dtype=np.uint32)),
            np.array([step.score for step in steps], dtype="<f8").tobytes(),
            _planes(np.array([len(text) for text in self.texts], dtype=np.uint32)),
            *self.texts,
        ]
        return head + zlib.compress(b"".join(parts), level=6)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """What ``pack`` packed, to the bit.

        Raises:
            KeptScoresError: the data are something else, of another version, damaged or cut off.
        """
        if len(data) < _HEAD.size or not data.startswith(_MAGIC):
            raise KeptScoresError("These are no kept scores, or they are cut off.")
        _, version, flags, vocabulary, count, texts_count = _HEAD.unpack_from(data)
        if version != VERSION:
            raise KeptScoresError(f"These scores are of version {version}; this application reads {VERSION}.")
        try:
            body = _Reader(zlib.decompress(data[_HEAD.size :]))
        except zlib.error as error:
            raise KeptScoresError(f"These scores are damaged or cut off ({error}).") from error
        lengths = body.whole(count).tolist()
        ids = body.whole(sum(lengths)).astype(np.int32)
        scores = _from_differences(body.whole(sum(lengths)))
        rests = body.floats(count).tolist()
        tokens = body.whole(count).tolist()
        chosen = body.floats(count).tolist()
        texts = tuple(body.take(length) for length in body.whole(texts_count).tolist())
        body.end()
        places = np.cumsum(lengths)[:-1]
        each = zip(np.split(ids, places), np.split(scores, places), rests, tokens, chosen, strict=True)
        steps = tuple(StepScores(*one) for one in each) if count else ()
        return cls(vocabulary, steps, bool(flags & _NORMALIZED), texts)


class _Reader:
    """Takes an unpacked body apart, from its beginning to its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise KeptScoresError("These scores are cut off.")
        self._at += size
        return taken

    def whole(self, count: int) -> NDArray[np.uint32]:
        planes = np.frombuffer(self.take(4 * count), dtype=np.uint8).reshape(4, count)
        return np.ascontiguousarray(planes.T).view("<u4").reshape(count).astype(np.uint32)

    def floats(self, count: int) -> NDArray[np.float64]:
        return np.frombuffer(self.take(8 * count), dtype="<f8").astype(np.float64)

    def end(self) -> None:
        if self._at < len(self._data):
            raise KeptScoresError("These scores are damaged: something follows them.")


def _joined(arrays: Sequence[NDArray[np.generic]], kind: type[np.generic]) -> NDArray[np.generic]:
    return np.concatenate(arrays).astype(kind, copy=False) if arrays else np.zeros(0, dtype=kind)


def _planes(whole: NDArray[np.uint32]) -> bytes:
    """All first bytes, then all second ones, and so on: like beside like, which zlib packs better."""
    return np.ascontiguousarray(whole.astype("<u4").view(np.uint8).reshape(len(whole), 4).T).tobytes()


def _differences(scores: NDArray[np.generic]) -> NDArray[np.uint32]:
    """Each score as its distance from the one before it, counted in float32 numbers, modulo 2**32: small whole numbers.

    Floats in the order of their size have bits in the order of whole numbers, once those of negative ones are turned.
    """
    bits = scores.astype(np.float32).view(np.uint32)
    ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return np.diff(ordered, prepend=np.uint32(0))


def _from_differences(differences: NDArray[np.uint32]) -> NDArray[np.float32]:
    ordered = np.cumsum(differences, dtype=np.uint32)
    bits = np.where(ordered & _SIGN, ordered & ~_SIGN, ~ordered).astype(np.uint32)
    return bits.view(np.float32)
