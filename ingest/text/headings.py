"""Which headings are above a place in a document."""

from collections.abc import Iterable, Sequence

from ingest.documents.page import Heading
from ingest.text.chunk import SEPARATOR


class HeadingPath:
    """The headings above where the reader is, outermost first."""

    def __init__(self) -> None:
        self._above = list[Heading]()

    def enter(self, heading: Heading) -> None:
        """What follows is below this one, and below those above it."""
        while self._above and self._above[-1].level >= heading.level:
            self._above.pop()
        self._above.append(heading)

    def enter_all(self, headings: Iterable[Heading]) -> None:
        """In order."""
        for heading in headings:
            self.enter(heading)

    def __str__(self) -> str:
        return SEPARATOR.join(heading.title for heading in self._above)


def paths(headings: Sequence[Heading], starts: Sequence[int], path: HeadingPath) -> list[str]:
    """What is above each of the places of a page, which come in order. `path` is where the page before ended, and
    goes on to where this one ends.
    """
    found, entered = list[str](), 0
    for start in starts:
        while entered < len(headings) and headings[entered].start <= start:
            path.enter(headings[entered])
            entered += 1
        found.append(str(path))
    path.enter_all(headings[entered:])
    return found
