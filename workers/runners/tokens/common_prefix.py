"""How far two sequences of token ids are the same."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TokenIds = Sequence[int] | NDArray[np.int32]


def common_prefix_length(left: TokenIds, right: TokenIds) -> int:
    """At how many places from the start they are equal."""
    size = min(len(left), len(right))
    differing = np.flatnonzero(np.asarray(left[:size]) != np.asarray(right[:size]))
    return int(differing[0]) if len(differing) else size
