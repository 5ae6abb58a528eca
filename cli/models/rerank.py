"""`mlxq rerank`: files, or their lines, by how well they answer a query."""

import argparse
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from cli.cannot_do import CannotDo
from cli.client import stdin
from cli.client.files import document, text
from cli.client.server import server_of

STDIN = "-"


class _Document(NamedTuple):
    place: str
    """A file, or FILE:LINE."""
    content: str | dict[str, str]
    is_line: bool

    @property
    def shown(self) -> str:
        return f"{self.place}: {self.content}" if self.is_line else self.place


class _Ranked(msgspec.Struct, frozen=True):
    index: int
    relevance_score: float


class _Ranking(msgspec.Struct, frozen=True):
    results: tuple[_Ranked, ...]


def rerank(options: argparse.Namespace) -> int:
    """The best first. Raises CannotDo."""
    server = server_of(options)
    documents = [*_documents(options.files, by_line=options.lines)]
    if not documents:
        raise CannotDo("There is nothing to rank: all of it is empty.")
    body = {
        "model": options.model,
        "query": options.query,
        "documents": [each.content for each in documents],
        "top_n": options.top,
        "return_documents": False,
        "truncate": options.truncate,
    }
    if options.instruction is not None:
        body["instruction"] = options.instruction
    found = server.post("/v1/rerank", body, _Ranking, works=True).results
    for each in found:
        one = documents[each.index]
        print(_line(each, one) if options.json else f"{each.relevance_score:.4f}  {one.shown}")
    return 0


def _documents(names: Iterable[str], *, by_line: bool) -> Iterator[_Document]:
    """Raises CannotDo."""
    for name in names:
        if name == STDIN:
            yield from _lines(STDIN, stdin.read_all())
        elif by_line:
            yield from _lines(name, text(name))
        else:
            content = document(name)
            if isinstance(content, str) and not content.strip():
                raise CannotDo(f"{name} is empty: it cannot be ranked.")
            yield _Document(name, content, is_line=False)


def _lines(name: str, content: str) -> Iterator[_Document]:
    """Those that are not empty."""
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            yield _Document(f"{name}:{number}", line.rstrip("\r"), is_line=True)


def _line(ranked: _Ranked, one: _Document) -> str:
    told = {"text": one.content} if one.is_line else {}
    said = {"document": one.place, "relevance_score": ranked.relevance_score, **told}
    return msgspec.json.encode(said).decode()
