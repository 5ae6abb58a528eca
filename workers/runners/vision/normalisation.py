"""The colours that a vision tower was trained with."""

from typing import NamedTuple


class Normalisation(NamedTuple):
    """Mean and standard deviation of each colour channel, of values from 0 to 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
