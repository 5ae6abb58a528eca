"""The words of a text as they are searched: the same whether a document has them or a query."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple


class Term(NamedTuple):
    """A word, or two neighbouring characters of a script whose words are not told apart."""

    text: str
    """In the form in which it is compared: without capitals, accents and the plural's s."""
    start: int
    """Where it is in the text."""
    end: int


def document_terms(text: str) -> Iterator[Term]:
    """Of a text that is to be found. A Chinese character is one also by itself: a query may be just that."""
    for match in _RUN.finditer(text):
        if match.lastgroup == "word":
            yield Term(_word(match.group()), *match.span())
        else:
            yield from _pairs(match.group(), match.start())
            yield from (
                Term(_folded(each.group()), match.start() + each.start(), match.start() + each.end())
                for each in _CHINESE.finditer(match.group())
                if len(match.group()) > 1
            )


def query_terms(text: str) -> Iterator[Term]:
    """Of what is looked for."""
    for match in _RUN.finditer(text):
        if match.lastgroup == "word":
            yield Term(_word(match.group()), *match.span())
        else:
            yield from _pairs(match.group(), match.start())


def _pairs(run: str, start: int) -> Iterator[Term]:
    for i in range(max(1, len(run) - 1)):
        yield Term(_folded(run[i : i + 2]), start + i, start + min(i + 2, len(run)))


@lru_cache(maxsize=1 << 16)
def _word(word: str) -> str:
    return _without_plural(_folded(word))


@lru_cache(maxsize=1 << 16)
def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", _ACCENT.sub("", decomposed))


def _without_plural(word: str) -> str:
    """Harman's S-stemmer (How effective is suffixing?, 1991). It errs little in other languages than English."""
    if len(word) <= 3 or word[-1] != "s":
        return word
    if word.endswith("ies"):
        return word if word.endswith(("eies", "aies")) else word[:-3] + "y"
    if word.endswith("es"):
        return word if word.endswith(("aes", "ees", "oes")) else word[:-1]
    return word if word.endswith(("us", "ss")) else word[:-1]


def _marks() -> str:
    """Characters that belong to the one before them, and are no letters to `re`: accents, vowels of Indian scripts."""
    return "".join(chr(i) for i in range(0x300, 0xFE30) if unicodedata.category(chr(i)) in ("Mn", "Mc"))


_UNPARTED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u318f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\u1100-\u11ff\uac00-\ud7a3"  # Korean, whose particles are written to the word before them
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_LETTER, _MARK = r"(?![\W_])", f"[{_marks()}]"
_RUN = re.compile(
    f"(?P<unparted>{_LETTER}[{_UNPARTED}](?:{_LETTER}[{_UNPARTED}]|{_MARK})*)"
    f"|(?P<word>{_LETTER}[^{_UNPARTED}](?:{_LETTER}[^{_UNPARTED}]|{_MARK})*)"
)
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_ACCENT = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u0652]")
"""Of Latin, Greek and Cyrillic letters; vowel points of Hebrew and Arabic, which are mostly left out."""
