"""Which repetition penalty leads a reply out of the circle that it goes round in."""

from components.engine.local.decoder import Decoder
from components.engine.local.sequence import Writing
from components.sampling.sampler import SeenTokens, penalize

PENALTIES = (1.02, 1.05, 1.08, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.75, 2.0)


def mildest_penalty(decoder: Decoder, writing: Writing) -> float | None:
    """The mildest repetition penalty with which some other token would have been likelier in the last round.

    One round is read again, in one piece, for the logits at each of its tokens. None when no penalty would do.
    """
    assert writing.lease is not None
    assert writing.loop is not None
    cache, tokens = writing.lease.cache, writing.lease.tokens
    begin = len(tokens) - 1 - writing.loop
    cache.truncate(begin)
    logits = decoder.prefill(cache, tokens[begin:-1], all_logits=True)
    seen = SeenTokens(tokens, logits.device).ids
    for penalty in PENALTIES:
        if penalty <= writing.request.sampling.repetition_penalty:
            continue
        penalized = logits.clone()
        for row in penalized:
            penalize(row, seen, penalty)
        if penalized.argmax(dim=-1).tolist() != tokens[begin + 1 :]:
            return penalty
    return None
