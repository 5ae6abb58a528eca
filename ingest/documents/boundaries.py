"""Where a text may be parted."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

_SENTENCE_OR_LINE = re.compile(
    r"""[.!?…][\])}"'”’»]*\s+      # white space must follow: 3.14 is one number
      | [。！？｡][」』）】”’]*\s*    # in Chinese and Japanese none does
      | [।॥؟۔]\s*                   # Hindi, Arabic, Urdu
      | [^\S\n]*\n\s*""",
    re.VERBOSE,
)
_WHITE_SPACE = re.compile(r"\s+")


class Boundaries:
    """Places between characters, each behind the white space that follows what ends there."""

    def __init__(self, text: str, headings: Sequence[int]) -> None:
        """headings: at which characters they begin."""
        self._headings = frozenset(headings)
        self._kinds = (  # the best ones first
            sorted(self._headings),
            [match.end() for match in _SENTENCE_OR_LINE.finditer(text)],
            [match.end() for match in _WHITE_SPACE.finditer(text)],
        )

    def is_heading(self, place: int) -> bool:
        """Whether a heading begins there."""
        return place in self._headings

    def last_between(self, low: int, high: int) -> int:
        """The best place from `low` to `high`: before a heading, else behind a sentence or line, else behind a word;
        of equally good ones the last. `high` where there is none.
        """
        for places in self._kinds:
            at = bisect_right(places, high) - 1
            if at >= 0 and places[at] >= low:
                return places[at]
        return high

    def first_between(self, low: int, high: int) -> int:
        """The best place from `low` on and before `high`, of equally good ones the first. `low` where there is none."""
        for places in self._kinds:
            at = bisect_left(places, low)
            if at < len(places) and places[at] < high:
                return places[at]
        return low
