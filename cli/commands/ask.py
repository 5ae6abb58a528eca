"""`mlxq ask`: an answer from ingested documents, as it is written, and then the pages that it cites."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from cli.cannot_do import CannotDo
from cli.processes import event_loop
from cli.search.connected import Connected, connected, connected_with_queue
from cli.search.filters import page_filter
from cli.search.printed import printed, shown_path
from jobs.errors import JobError, UnknownModel
from jobs.generate import GenerateJob
from jobs.job import Lane, SubmitOptions
from jobs.process.colour import paint
from jobs.search.citations import cited
from jobs.search.query import SearchQuery
from jobs.search.question import NOT_FOUND, PreparedAnswer, Question, Source
from jobs.search.reply import SearchReply
from jobs.settings import Settings


class Answer(msgspec.Struct, frozen=True):
    """As JSON."""

    answer: str
    citations: tuple[Source, ...]
    sources: tuple[Source, ...]
    notes: tuple[str, ...]


def ask(settings: Settings, options: argparse.Namespace) -> int:
    """Raises: CannotDo."""
    try:
        return _asked(settings, options)
    except JobError as error:
        raise CannotDo(error.message) from error


def _asked(settings: Settings, options: argparse.Namespace) -> int:
    question = Question(
        text=options.question,
        collections=tuple(options.collection or ()),
        filter=page_filter(options.filter or ()),
        model=options.chat_model,
        rerank_model=options.rerank,
        stream=True,
    )
    write = _nothing if options.json else _write
    try:
        prepared, answer = event_loop.run(_ask(settings, question, write))
    except UnknownModel as error:
        if options.json or options.chat_model:
            raise
        _show_pages(settings, question, error.message)
        return 0
    citations = cited(answer, prepared.sources)
    if options.json:
        print(msgspec.json.encode(Answer(answer, citations, prepared.sources, prepared.notes)).decode())
        return 0
    print()
    for line in _references(citations or prepared.sources, are_cited=bool(citations)):
        print(line)
    for note in prepared.notes:
        print(f"{paint('note:', 'yellow', sys.stderr)} {note}", file=sys.stderr)
    return 0


def _show_pages(settings: Settings, question: Question, why: str) -> None:
    """Instead of an answer that no model can write: the pages that one would be shown."""
    reply = event_loop.run(_pages(settings, question))
    for line in printed(reply, lambda text: paint(text, "bold", sys.stdout)):
        print(line)
    for note in (f"These pages may hold the answer. {why}", *reply.notes):
        print(f"{paint('note:', 'yellow', sys.stderr)} {note}", file=sys.stderr)


async def _pages(settings: Settings, question: Question) -> SearchReply:
    async with connected(settings) as collections:
        return await collections.search(
            SearchQuery(
                text=question.text,
                collections=question.collections,
                filter=question.filter,
                limit=question.sources,
                rerank_model=question.rerank_model,
            )
        )


async def _ask(
    settings: Settings, question: Question, write: Callable[[str], None]
) -> tuple[PreparedAnswer, str]:
    """What was found, and the answer, which is written as it comes."""
    async with connected_with_queue(settings) as asked:
        prepared = await asked.collections.prepare(question)
        if prepared.job is None:
            write(NOT_FOUND)
            return prepared, NOT_FOUND
        return prepared, await _answer(asked, prepared.job, settings, write)


async def _answer(
    asked: Connected, job: GenerateJob, settings: Settings, write: Callable[[str], None]
) -> str:
    options = SubmitOptions(
        lane=Lane.INTERACTIVE,
        result_ttl_s=settings.sync_result_ttl_s,
        time_limit_s=settings.time_limit_s,
        awaited=True,
    )
    ticket = await asked.queue.submit(job, options)
    answer: list[str] = []
    try:
        async for _, pieces in asked.queue.stream(ticket.id):
            for piece in pieces.pieces:
                write(piece.text)
                answer.append(piece.text)
    except BaseException:
        await asked.queue.cancel(ticket.id)
        raise
    return "".join(answer)


def _references(sources: Sequence[Source], *, are_cited: bool) -> list[str]:
    """A line for each page. Where the answer names none, the pages that were read."""
    if not sources:
        return []
    lines = [""] if are_cited else ["", "The answer names no page. It was written from:"]
    for each in sources:
        label = f" ({each.label})" if each.label and each.label != str(each.page) else ""
        lines.append(f"[{each.number}] {_link(each)} page {each.page}{label}")
    return lines


def _link(source: Source) -> str:
    """The path; on a terminal it opens the file at the page (OSC 8)."""
    path = shown_path(source.path)
    if not sys.stdout.isatty():
        return path
    return f"\033]8;;{Path(source.path).as_uri()}#page={source.page}\033\\{path}\033]8;;\033\\"


def _write(text: str) -> None:
    print(text, end="", flush=True)


def _nothing(_: str) -> None:
    """The answer is printed at the end."""
