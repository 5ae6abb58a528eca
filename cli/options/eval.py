"""The options of `mlxq eval`."""

import argparse

from cli.parser import Command

_TEXT = """Measure how well pages are found, by each way of searching that a collection allows.

Without judgements of yours, the bookmarks of the collection's own PDFs are asked for: a bookmark's title is the
query, the page that it leads to is right."""

_EPILOG = """a generated document, with facts in prose, tables, charts and on turned pages:
  mlxq eval --generate FOLDER       write it there
  mlxq ingest FOLDER --into NAME
  mlxq eval -c NAME --generated     ask for its facts

judgements of yours, in two files as TREC has them:
  --qrels FILE      lines of `query-id 0 /path/of/document.pdf#page=3 1`
  --queries FILE    lines of the query's id, a tab, and its text"""


def add_eval(command: Command) -> None:
    part = command("eval", "Measure how well pages are found.")
    part.description = _TEXT
    part.epilog = _EPILOG
    part.formatter_class = argparse.RawDescriptionHelpFormatter
    part.add_argument("-c", "--collection", metavar="NAME", default="documents", help="(documents)")
    part.add_argument("--limit", type=_count, default=200, metavar="N", help="queries at most (200)")
    part.add_argument(
        "--depth", type=_count, default=10, metavar="K", help="pages that count for recall (10)"
    )
    part.add_argument("--rerank", metavar="MODEL", default="", help="measure this reranker, too")
    part.add_argument("--generate", metavar="FOLDER", help="write the generated document into this folder")
    part.add_argument("--generated", action="store_true", help="ask for the generated document's facts")
    part.add_argument("--pages", type=_count, default=200, metavar="N", help="of that document (200)")
    part.add_argument("--qrels", metavar="FILE", help="judgements: see below")
    part.add_argument("--queries", metavar="FILE", help="their queries")
    part.add_argument("--json", action="store_true", help="print the figures as JSON")
    part.add_argument(
        "--redis", dest="redis_url", metavar="URL", help="Redis of the workers, if it is not our own"
    )
    part.add_argument("--data", metavar="FOLDER", help="of the `mlxq up` that runs (~/.local/share/mlxq)")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 100000")
    return int(text)
