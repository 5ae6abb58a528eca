"""Which words of a page are the query's."""

import unicodedata
from collections.abc import Sequence

from ingest.text.snippet import snippet


def marked(words: Sequence[str], query: str) -> list[bool]:
    """One for each word. A page may part what is one word in scripts without blanks: neighbours are read together."""
    line, spans = "", list[tuple[int, int]]()
    for word in ("".join(each.split()) for each in words):
        if line and word and not (_is_wide(line[-1]) and _is_wide(word[0])):
            line += " "
        spans.append((len(line), len(line) + len(word)))
        line += word
    matches = snippet(line, query, max_length=len(line)).matches
    return [any(start < span[1] and span[0] < end for start, end in matches) for span in spans]


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
