"""`mlxq embed`: a vector for each text, a line each."""

import argparse
import itertools
from collections.abc import Iterable, Iterator

import msgspec

from cli.cannot_do import CannotDo
from cli.client import stdin
from cli.client.files import data_uri
from cli.client.server import Server, server_of

STDIN = "-"
_IN_ONE_REQUEST = 256
"""So many texts; more than one batch of a worker, and the first vectors come soon."""

Input = str | dict[str, str]


class _Vector(msgspec.Struct, frozen=True):
    embedding: msgspec.Raw
    """As the server wrote it: a list of numbers, or of such lists."""


class _Vectors(msgspec.Struct, frozen=True):
    data: tuple[_Vector, ...]


def embed(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    server = server_of(options)
    body = {
        name: value
        for name, value in (
            ("model", options.model),
            ("dimensions", options.dimensions),
            ("input_type", options.type),
            ("instruction", options.instruction),
        )
        if value is not None
    }
    if not _print_vectors(server, body, _inputs(options), as_json=options.json):
        raise CannotDo(
            'There is nothing to embed: mlxq embed MODEL "TEXT", or lines of text to `mlxq embed MODEL -`.'
        )
    return 0


def embed_texts(server: Server, model: str, texts: Iterable[str], *, as_json: bool) -> int:
    """As `mlxq embed` prints them. Raises CannotDo."""
    _print_vectors(server, {"model": model}, map(_checked, texts), as_json=as_json)
    return 0


def _print_vectors(server: Server, body: dict[str, object], inputs: Iterable[Input], *, as_json: bool) -> int:
    """How many there were."""
    count = 0
    for group in _groups(inputs):
        for given, vector in zip(group, _vectors(server, body, group), strict=True):
            print(_line(count, given, vector) if as_json else bytes(vector.embedding).decode(), flush=True)
            count += 1
    return count


def _inputs(options: argparse.Namespace) -> Iterator[Input]:
    for image in options.image or ():
        yield {"image": data_uri(image)}
    texts = options.texts or ([STDIN] if not stdin.is_terminal() and not options.image else [])
    for text in texts:
        if text == STDIN:
            yield from _lines()
        else:
            yield _checked(text)


def _checked(text: str) -> str:
    if not text.strip():
        raise CannotDo("A text to embed is empty.")
    return text


def _lines() -> Iterator[str]:
    """Of standard input. Raises CannotDo for an empty one, which has no vector."""
    for number, line in enumerate(stdin.lines(), 1):
        if not line.strip():
            raise CannotDo(f"Line {number} of standard input is empty: it has no vector.")
        yield line.rstrip("\r\n")


def _groups(inputs: Iterable[Input]) -> Iterator[list[Input]]:
    rest = iter(inputs)
    while group := list(itertools.islice(rest, _IN_ONE_REQUEST)):
        yield group


def _vectors(server: Server, body: dict[str, object], inputs: list[Input]) -> tuple[_Vector, ...]:
    return server.post("/v1/embeddings", {**body, "input": inputs}, _Vectors, works=True).data


def _line(index: int, given: Input, vector: _Vector) -> str:
    told = {"text": given} if isinstance(given, str) else {}
    return msgspec.json.encode({"index": index, **told, "embedding": vector.embedding}).decode()
