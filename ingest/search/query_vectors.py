"""Fewer vectors for a query: the tokens of a word, and the padding of a model's queries, say nearly the same."""

from typing import Any

import numpy as np

Rows = np.ndarray[Any, np.dtype[np.float32]]


def merged(query: Rows, most: int) -> Rows:
    """At most so many vectors: the two that are most alike (by cosine) are added up, again and again.

    query: (vectors, dimension). A sum counts as much in MaxSim as its parts, for those have their best match in common.
    """
    if len(query) <= most:
        return query
    sums = query.astype(np.float32)
    unit = _unit(sums)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    there = np.ones(len(sums), bool)
    for _ in range(len(sums) - most):
        one, other = divmod(int(cosines.argmax()), len(sums))
        sums[one] += sums[other]
        there[other] = False
        cosines[other] = cosines[:, other] = -np.inf
        unit[one] = _unit(sums[one])
        fresh = np.where(there, unit @ unit[one], -np.inf)
        fresh[one] = -np.inf
        cosines[one] = cosines[:, one] = fresh
    return sums[there]


def _unit(rows: Rows) -> Rows:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
