"""Fisher's exact test, one-sided: whether one group has more hits than chance gives it."""

from __future__ import annotations

from math import comb


def more_hits_probability(hits: int, size: int, other_hits: int, other_size: int) -> float:
    """Return the probability of at least so many hits in the first group, were both alike.

    The sum of the hypergeometric distribution with the margins of the table.
    """
    total = hits + other_hits
    most = min(total, size)
    ways = sum(comb(size, n) * comb(other_size, total - n) for n in range(hits, most + 1))
    return ways / comb(size + other_size, total)
