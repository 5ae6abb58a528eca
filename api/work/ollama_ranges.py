"""The numbers among Ollama's parameters: their ranges, in which the nearest stands for a number outside."""

from typing import NamedTuple


class _Range(NamedTuple):
    least: float
    most: float
    whole: bool = False


_MAX_COUNT = 2**31 - 1
_MAX_SEED = 2**63 - 1
_MAX_TEMPERATURE = 100.0
"""Above, all tokens are about as probable."""
_MAX_REPETITION = 10.0
_MAX_PENALTY = 100.0
"""Above, a token does not come again."""

_RANGES = {
    "temperature": _Range(0, _MAX_TEMPERATURE),
    "top_k": _Range(0, _MAX_COUNT, whole=True),
    "top_p": _Range(0, 1),
    "min_p": _Range(0, 1),
    "seed": _Range(-1, _MAX_SEED, whole=True),
    "num_predict": _Range(0, _MAX_COUNT, whole=True),
    "repeat_last_n": _Range(-_MAX_COUNT, _MAX_COUNT, whole=True),
    "repeat_penalty": _Range(0, _MAX_REPETITION),
    "presence_penalty": _Range(-_MAX_PENALTY, _MAX_PENALTY),
    "frequency_penalty": _Range(-_MAX_PENALTY, _MAX_PENALTY),
}
"""seed: none where negative. num_predict: no limit where 0. repeat_penalty: none where 0."""

NUMBERS = frozenset(_RANGES)
WHOLE = frozenset(word for word, within in _RANGES.items() if within.whole)


def nearest_number(word: str, asked: float) -> float:
    """The nearest to what is asked that the parameter may be; an int where it is a whole number, without what is
    behind the point.
    """
    least, most, whole = _RANGES[word]
    found = min(max(asked, least), most)
    return int(found) if whole else found


def has_penalties(repeat_last_n: float) -> bool:
    """Whether the three penalties look at any token. -1: at all of them."""
    return repeat_last_n >= -1 and repeat_last_n != 0
