"""Which ways of searching a query takes: a pure function of what is asked and what is there."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from ingest.collections.contents import Part
from jobs.errors import InvalidInput
from jobs.search.query import Mode, SearchQuery

Way = Literal["visual", "text", "keywords", "hybrid"]


class Step(NamedTuple):
    """One search in one part of a collection."""

    way: Way
    part: Part

    @property
    def needs_vectors(self) -> bool:
        """Whether the query must be embedded for it."""
        return self.way != "keywords"


_WAYS: dict[Mode, tuple[Way, ...]] = {
    "auto": ("hybrid", "visual"),
    "visual": ("visual",),
    "hybrid": ("hybrid",),
    "text": ("text",),
    "keywords": ("keywords",),
}
_KINDS = {"visual": "images of pages", "text": "texts"}


def steps_of(query: SearchQuery, parts: Mapping[str, tuple[Part, ...]]) -> list[Step]:
    """At least one. Raises InvalidInput where there is nothing that could be searched so."""
    if not query.text and query.mode == "keywords":
        raise InvalidInput("A search by keywords needs words.", param="query")
    steps = [
        Step(_without_words(way) if not query.text else way, part)
        for own in parts.values()
        for way in _WAYS[query.mode]
        for part in own
        if part.kind == ("visual" if way == "visual" else "text")
    ]
    if not steps:
        kind = _KINDS["visual" if query.mode == "visual" else "text"]
        names = ", ".join(parts)
        raise InvalidInput(
            f"Nothing of {names} can be searched by the mode {query.mode!r}: no {kind} were ingested. "
            'Use the mode "auto".',
            param="mode",
        )
    return steps


def _without_words(way: Way) -> Way:
    """An image alone has none."""
    return "text" if way == "hybrid" else way


def without(unavailable: Collection[str], steps: Sequence[Step], query: SearchQuery) -> list[Step]:
    """The steps that go without some models. unavailable: keys of the models' fingerprints. In the mode auto, text that
    cannot be searched by meaning is searched by its words.
    """
    found = list[Step]()
    for step in steps:
        if not step.needs_vectors or step.part.maker.key not in unavailable:
            found.append(step)
        elif query.mode == "auto" and step.way == "hybrid":
            found.append(Step("keywords", step.part))
    return found
