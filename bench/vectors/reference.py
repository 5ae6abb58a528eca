"""What an exact search should find, by numpy."""

from collections.abc import Sequence

import numpy as np

from bench.vectors.made_up import Rows


class Reference:
    """Scores of all pages for all queries, from the vectors as they are stored: in float16."""

    def __init__(self, queries: Sequence[Rows], pages: int) -> None:
        """queries: all of the same length."""
        self._rows = np.concatenate(queries).astype(np.float16).astype(np.float32)
        self._scores = np.zeros((pages, len(queries)), np.float32)

    def add(self, number: int, page: Rows) -> None:
        """One page at a time: its products with all queries fit into the processor's cache."""
        stored = page.astype(np.float16).astype(np.float32)
        best = (self._rows @ stored.T).max(axis=1)
        self._scores[number] = best.reshape(self._scores.shape[1], -1).sum(axis=1)

    def best(self, limit: int) -> list[list[tuple[float, int]]]:
        """(score, page) of each query's best pages, best first."""
        order = np.argsort(-self._scores, axis=0)[:limit]
        return [
            [(float(self._scores[page, query]), int(page)) for page in order[:, query]]
            for query in range(order.shape[1])
        ]
