"""The part of a chunk that shows why it was found."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ingest.text.terms import Term, document_terms, query_terms

MAX_LENGTH = 240
"""Characters, without the ellipses."""

_COMMON = (
    "a about am an and any are as at be been but by can could did do doe for from had has have he her his how i if in "
    "into is it its may me my no not of on or our she should so some such than that the their them then there these "
    "they thi this to was we were what when where which who why will with would you your"
)
COMMON = frozenset(_COMMON.split())
"""English words that show nothing, as `terms` spells them. They are shown only if the query has no others."""

ELLIPSIS = "…"


class Snippet(NamedTuple):
    """One line."""

    text: str
    matches: tuple[tuple[int, int], ...]
    """Where in it words of the query are: first character and the one after the last, in order, none within another."""


def snippet(text: str, query: str, max_length: int = MAX_LENGTH) -> Snippet:
    """The stretch of at most `max_length` characters with most of the query's words in it. The text's beginning, where
    it has none of them.
    """
    wanted = {term.text for term in query_terms(query)}
    wanted = wanted - COMMON or wanted
    line = " ".join(text.split())
    found = sorted(
        (term for term in document_terms(line) if term.text in wanted), key=lambda term: term.start
    )
    best = _densest(found, max_length)
    if len(line) <= max_length:
        start, end = 0, len(line)
    else:
        start, end = _around(line, best[0].start if best else 0, best[-1].end if best else 0, max_length)
    before, after = ELLIPSIS if start else "", ELLIPSIS if end < len(line) else ""
    shift = len(before) - start
    matches = [
        (term.start + shift, term.end + shift) for term in found if start <= term.start and term.end <= end
    ]
    return Snippet(before + line[start:end] + after, _merged(matches))


def _densest(found: Sequence[Term], length: int) -> Sequence[Term]:
    """The terms within `length` characters that have the most different ones, then the most, then the first."""
    best, best_score = found[:0], (0, 0)
    inside, first = Counter[str](), 0
    for last, term in enumerate(found):
        inside[term.text] += 1
        while term.end - found[first].start > length:
            inside[found[first].text] -= 1
            inside += Counter()  # forgets those of which none is left
            first += 1
        score = (len(inside), last + 1 - first)
        if score > best_score:
            best, best_score = found[first : last + 1], score
    return best


def _around(line: str, first: int, last: int, length: int) -> tuple[int, int]:
    """From a word's beginning to a word's end, with some of what comes before."""
    start = max(0, min(first - (length - (last - first)) // 3, len(line) - length))
    if start:
        start += _to_next_word(line[start - 1 : max(first, start)])
    end = min(len(line), start + length)
    if end < len(line) and (space := line.rfind(" ", max(last, start + 1), end + 1)) > 0:
        end = space
    return start, end


def _to_next_word(line: str) -> int:
    """How many characters further on a sentence, else a word begins; 0 where none does. The first is the one before."""
    match = re.search(r"[.!?]\s+|[。！？]", line[: len(line) // 2]) or re.search(r"\s+", line)
    return max(0, match.end() - 1) if match else 0


def _merged(matches: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged = list[tuple[int, int]]()
    for start, end in sorted(matches):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
