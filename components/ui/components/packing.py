"""The kept scores of a reply as the token view takes them: one run of bytes, which its ``unpack.js`` takes apart.

A header in JSON (its length first, in four bytes) is followed by arrays, each in the planes of its bytes, which the
connection's compression packs best. Texts of tokens come once each. Scores of models in bfloat16 are sent as they are;
others as their distance from the likeliest one's, in steps small enough that odds are right within 1e-3.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.engine.interface import Piece
from components.sampling.filters import ExactStep
from components.sampling.kept import KeptScores

FINE_STEP, COARSE_STEP = 1e-4, 2e-3
FINE_CODES = 49152
"""So many codes stand for near scores; the others, up to 2**16, for those that few settings make matter."""

UNKNOWN_VOCABULARY = 1_000_000
"""Where nobody says how many tokens there are: more than any model has."""


@dataclass(frozen=True)
class Rounded:
    """Scores in two bytes each.

    Attributes:
        codes: ``[n]``.
        is_exact: whether they are the upper halves of the scores' own four bytes, whose lower ones are empty.
    """

    codes: NDArray[np.uint16]
    is_exact: bool


def pack_for_view(
    kept: KeptScores,
    prompt: Collection[int],
    pieces_of: Callable[[Sequence[int]], Sequence[Piece]],
    told: Mapping[str, Any],
) -> bytes:
    """Everything that the view needs.

    Args:
        kept: the scores.
        prompt: the token ids before the reply.
        pieces_of: what tokens stand for.
        told: what stands in the header besides: settings and texts.
    """
    steps = kept.steps
    lengths = np.array([len(step.ids) for step in steps], dtype=np.uint16)
    ids = np.concatenate([step.ids for step in steps]) if steps else np.zeros(0, dtype=np.int32)
    scores = np.concatenate([step.scores for step in steps]) if steps else np.zeros(0, dtype=np.float32)
    chosen = np.array([step.token for step in steps], dtype=np.int32)
    distinct = tokens_of(kept)
    pieces = pieces_of(distinct.tolist())
    flags = [
        int(token in prompt) + 2 * piece.is_control for token, piece in zip(distinct.tolist(), pieces, strict=True)
    ]
    seen = set(prompt)
    rounded = round_scores(scores, lengths)
    arrays: list[tuple[str, NDArray[Any]]] = [
        ("lengths", lengths),
        ("ids", _narrow(np.searchsorted(distinct, ids), len(distinct))),
        ("chosen", _narrow(np.searchsorted(distinct, chosen), len(distinct))),
        ("codes", _differences(rounded.codes)),
        ("tops", np.array([step.scores[0] if len(step.scores) else 0 for step in steps], dtype=np.float32)),
        ("rests", np.array([step.rest for step in steps], dtype=np.float32)),
        ("chosenScores", np.array([step.score for step in steps], dtype=np.float32)),
        ("flags", np.array(flags, dtype=np.uint8)),
        ("textLengths", np.array([len(piece.text) for piece in pieces], dtype=np.uint16)),
        ("texts", np.frombuffer(b"".join(piece.text for piece in pieces), dtype=np.uint8)),
    ]
    header = {
        **told,
        "vocabulary": kept.vocabulary or UNKNOWN_VOCABULARY,
        "normalized": kept.normalized,
        "isExact": rounded.is_exact,
        "hiddenInPrompt": len(seen.difference(distinct.tolist())),
        "arrays": [[name, array.dtype.itemsize, array.dtype.kind, len(array)] for name, array in arrays],
    }
    head = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join([len(head).to_bytes(4, "little"), head, *(_planes(array) for _, array in arrays)])


def tokens_of(kept: KeptScores) -> NDArray[np.int32]:
    """The ids of all tokens that the view knows, sorted: it names a token by its place in these."""
    ids = [step.ids for step in kept.steps]
    return np.unique(np.concatenate([*ids, np.array([step.token for step in kept.steps], dtype=np.int32)]))


def pack_answer(place: int, step: ExactStep, tokens: NDArray[np.int32], piece: Piece) -> dict[str, Any]:
    """What the model says of one place, as the view takes it.

    Args:
        place: in the reply.
        step: the answer.
        tokens: those that the view knows; see ``tokens_of``.
        piece: the likeliest token's, which the view shows though it may not know that token.
    """
    at = int(np.searchsorted(tokens, step.likeliest))
    is_known = at < len(tokens) and int(tokens[at]) == step.likeliest
    return {
        "place": place,
        "likeliest": at if is_known else -1,
        "text": list(piece.text),
        "stages": [asdict(left) for left in step.stages],
    }


def round_scores(scores: NDArray[np.float32], lengths: NDArray[np.uint16]) -> Rounded:
    """Scores of steps of these lengths, the likeliest first, in two bytes each. A step may have none."""
    bits = scores.view(np.uint32)
    if not (bits & 0xFFFF).any():
        return Rounded((bits >> 16).astype(np.uint16), is_exact=True)
    lengths = lengths[lengths > 0]
    starts = np.cumsum(lengths, dtype=np.int64) - lengths
    tops = np.repeat(scores[starts].astype(np.float64), lengths)
    gaps = tops - scores
    fine = np.round(gaps / FINE_STEP)
    coarse = FINE_CODES + np.floor((gaps - FINE_CODES * FINE_STEP) / COARSE_STEP)
    codes = np.where(fine < FINE_CODES, fine, np.clip(coarse, FINE_CODES, 2**16 - 1))
    return Rounded(codes.astype(np.uint16), is_exact=False)


def _narrow(places: NDArray[np.int64], count: int) -> NDArray[Any]:
    return places.astype(np.uint16 if count <= 2**16 else np.uint32)


def _differences(codes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return np.diff(codes, prepend=np.uint16(0)).astype(np.uint16)


def _planes(array: NDArray[Any]) -> bytes:
    plain = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return np.ascontiguousarray(plain.view(np.uint8).reshape(len(array), array.dtype.itemsize).T).tobytes()
