"""The few statistics that the tables print."""

from collections.abc import Sequence
from statistics import median

import numpy as np


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` percent of the values lie, between two of them where it falls between."""
    return float(np.percentile(values, share))


def paired_ratio(ones: Sequence[float], others: Sequence[float]) -> float:
    """How many times as large ``ones`` are as ``others``: the median of the rounds' ratios.

    Both of a round were measured one right after the other, so a machine that slows down slows both.
    """
    return median(one / other for one, other in zip(ones, others, strict=True))
