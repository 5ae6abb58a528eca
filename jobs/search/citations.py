"""Which sources an answer cites."""

import re
from collections.abc import Sequence

from jobs.search.question import Source

_CITED = re.compile(r"\[(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\]")


def cited(answer: str, sources: Sequence[Source]) -> tuple[Source, ...]:
    """In the order in which the answer first names them. Numbers of no source are left out."""
    by_number = {each.number: each for each in sources}
    named = [int(number) for found in _CITED.finditer(answer) for number in re.findall(r"\d+", found[1])]
    return tuple(by_number[number] for number in dict.fromkeys(named) if number in by_number)
