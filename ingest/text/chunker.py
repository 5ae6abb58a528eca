"""Parts pages into chunks, as long as a model can read: measured by the model's own tokenizer."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tokenizers import Tokenizer

from ingest.documents.boundaries import Boundaries
from ingest.documents.page import Page
from ingest.text.chunk import CHUNKS_A_PAGE, SEPARATOR, Chunk, titled
from ingest.text.headings import HeadingPath, paths

MAX_TOKEN_LENGTH = 64
"""Characters. A tokenizer may call a word of a million characters one unknown token: here it is many."""
NEARLY = 8
"""Tokens. A part by itself may be some longer than it was within the page: parts nearly full are counted again."""


class _Span(NamedTuple):
    start: int
    end: int
    fresh: int
    """Where it goes on behind what it has in common with the one before."""


class Chunker:
    """For one model. Several threads may use it."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, overlap: int, title_tokens: int = 0) -> None:
        """max_tokens: of a chunk with its title and the model's special tokens. overlap: how many of them at most a
        chunk has in common with the one before it; less than half. title_tokens: of a title at most. The tokenizer is
        copied: the copy neither cuts nor pads.
        """
        self._tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        most = max_tokens - self._tokenizer.num_special_tokens_to_add(is_pair=False)
        self._most = most
        self._room = most - title_tokens
        self._title_tokens = title_tokens
        self._overlap = overlap
        if self._room < 8 or not 0 <= overlap < self._room / 2:
            raise ValueError(
                f"Chunks of {max_tokens} tokens with an overlap of {overlap}: at least 8 tokens must be left beside "
                "the model's special ones, and the overlap must be less than half of those."
            )

    def chunks(self, pages: Iterable[Page], path: HeadingPath | None = None) -> Iterator[Chunk]:
        """Of pages that follow one another. A chunk is of one page; a page without text has none.

        path: the headings above the first page, and afterwards above the end of the last. None: there are none.
        """
        path = HeadingPath() if path is None else path
        for page in pages:
            text = page.text or ""
            spans = self._spans(text, Boundaries(text, [heading.start for heading in page.headings]))
            headings = paths(page.headings, [span.fresh for span in spans], path)
            for i, (span, heading) in enumerate(zip(spans, headings, strict=True)):
                yield Chunk(
                    number=page.number * CHUNKS_A_PAGE + i,
                    text=text[span.start : span.end],
                    heading=heading,
                    page=page.number,
                    label=page.label,
                    start=span.start,
                    end=span.end,
                    title=self.title(heading, text[span.start : span.end]),
                )

    def title(self, heading: str, text: str) -> str:
        """As much of the innermost heading as may stand before a chunk's text."""
        whole = heading.rpartition(SEPARATOR)[2]
        offsets = self._tokenizer.encode(whole, add_special_tokens=False).offsets
        for _, end in reversed(offsets[: self._title_tokens]):
            if self._count(titled(whole[:end], text)) <= self._most:
                return whole[:end]
        return ""

    def _spans(self, text: str, boundaries: Boundaries) -> list[_Span]:
        starts = self._token_starts(text)
        spans = list[_Span]()
        first = fresh = 0
        while fresh < len(starts):
            end = self._end(text, starts, boundaries, first, fresh)
            spans.append(_stripped(text, starts[first], end, starts[fresh]))
            last_first, fresh = first, bisect_left(starts, end)
            first = self._next_first(starts, boundaries, last_first, fresh)
        return [span for span in spans if span.start < span.end]

    def _token_starts(self, text: str) -> list[int]:
        """The character at which each token begins, in order. Several may be of one character."""
        starts = list[int]()
        for start, end in self._tokenizer.encode(text, add_special_tokens=False).offsets:
            starts.extend(range(start, end, MAX_TOKEN_LENGTH))
        return sorted(starts)

    def _end(self, text: str, starts: Sequence[int], boundaries: Boundaries, first: int, fresh: int) -> int:
        """Where the chunk ends that begins with the token `first` and has `fresh` in it."""
        room = self._room
        while True:
            if first + room >= len(starts):
                end = len(text)
            else:
                low = starts[min(max(first + room // 2, fresh + 1), first + room)]
                end = boundaries.last_between(low, starts[first + room])
            tokens = bisect_left(starts, end) - first
            excess = (
                self._count(text[starts[first] : end]) - self._room if tokens > self._room - NEARLY else 0
            )
            if excess <= 0 or room <= fresh - first + 1:
                return max(end, starts[fresh] + 1)
            room = min(room, tokens) - excess

    def _next_first(self, starts: Sequence[int], boundaries: Boundaries, first: int, fresh: int) -> int:
        """The token with which the next chunk begins, so that it goes on at `fresh` after the overlap."""
        earliest = max(fresh - self._overlap, first + 1)
        if fresh >= len(starts) or earliest >= fresh or boundaries.is_heading(starts[fresh]):
            return fresh
        return bisect_left(starts, boundaries.first_between(starts[earliest], starts[fresh]))

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))


def _stripped(text: str, start: int, end: int, fresh: int) -> _Span:
    part = text[start:end]
    return _Span(start + len(part) - len(part.lstrip()), start + len(part.rstrip()), fresh)
