"""The colours that a vision tower was trained with."""

from typing import NamedTuple


class Pixels(NamedTuple):
    """How a checkpoint wants its colours, per channel, of values from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
