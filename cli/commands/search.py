"""`mlxq search`: pages that answer a query, on a terminal or as JSON."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from cli.cannot_do import CannotDo
from cli.processes import event_loop
from cli.search.connected import connected
from cli.search.filters import page_filter
from cli.search.printed import printed
from jobs.errors import JobError
from jobs.process.colour import paint
from jobs.search.query import SearchQuery
from jobs.search.reply import SearchReply
from jobs.settings import Settings


class Request(msgspec.Struct, frozen=True):
    """What the command line asks for."""

    query: SearchQuery
    json: bool = False
    open: bool = False


def request_of(options: argparse.Namespace) -> Request:
    """Raises CannotDo, InvalidInput."""
    if not options.query.strip() and options.image is None:
        raise CannotDo('Say what to look for: mlxq search "QUERY", or --image FILE.')
    query = SearchQuery(
        text=options.query.strip(),
        image=_image(options.image) if options.image is not None else None,
        collections=tuple(options.collection or ()),
        limit=options.n,
        mode=options.mode,
        exact=options.exact,
        filter=page_filter(options.filter or ()),
        group_by_document=options.group is not None,
        rerank_model=options.rerank,
    )
    return Request(query, options.json, options.open)


def search(settings: Settings, options: argparse.Namespace) -> int:
    """Raises: CannotDo."""
    opener = _opener() if options.open else ""
    try:
        request = request_of(options)
        reply, path = event_loop.run(_search(settings, request))
    except JobError as error:
        raise CannotDo(error.message) from error
    _show(reply, as_json=request.json)
    if path is not None:
        _open(opener, path)
    return 0


async def _search(settings: Settings, request: Request) -> tuple[SearchReply, Path | None]:
    """What was found, and the file to open."""
    async with connected(settings) as collections:
        reply = await collections.search(request.query)
        hits = [*reply.hits, *(hit for group in reply.groups for hit in group.hits)]
        if not request.open or not hits:
            return reply, None
        return reply, await collections.file(hits[0].collection, hits[0].document)


def _show(reply: SearchReply, *, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(reply).decode())
        return
    for line in printed(reply, lambda text: paint(text, "bold", sys.stdout)):
        print(line)
    for note in reply.notes:
        print(f"{paint('note:', 'yellow', sys.stderr)} {note}", file=sys.stderr)


def _opener() -> str:
    """The program that opens a file as a double click does. Raises CannotDo."""
    found = "open" if sys.platform == "darwin" else "xdg-open"
    if shutil.which(found) is None:
        raise CannotDo(f"--open needs the program {found}, which is not here.")
    return found


def _open(opener: str, path: Path) -> None:
    """A viewer that stays outlives us: the shell starts it in the background."""
    subprocess.run(["/bin/sh", "-c", '"$0" "$1" </dev/null >/dev/null 2>&1 &', opener, str(path)], check=True)


def _image(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CannotDo(f"Cannot read --image {name}: {error.strerror or error}.") from error
