"""The options of `mlxq search`."""

import argparse

from cli.parser import Command

MODES = ("auto", "visual", "hybrid", "text", "keywords")
"""Those of jobs/search/query.py, which would be slow to import."""

_FILTERS = """filters:
  --filter path=~/Documents/        documents in a folder
  --filter 'path=*.pdf'             by a pattern (*, ?); several: one of them fits
  --filter page=3-9                 pages; also page=3, page=3-, page=-9
  --filter document=ID              by a document's id"""


def add_search(command: Command) -> None:
    part = command("search", "Find pages of ingested documents by words, by meaning, or by an image.")
    part.formatter_class = argparse.RawDescriptionHelpFormatter
    part.epilog = _FILTERS
    part.add_argument("query", nargs="?", default="", metavar="QUERY", help="what to look for")
    part.add_argument("--image", metavar="FILE", help="look for pages like this image")
    part.add_argument(
        "-c", "--collection", action="append", metavar="NAME", help="search in it (all); may be repeated"
    )
    part.add_argument("-n", type=_count, default=10, metavar="N", help="most hits, or documents (10)")
    part.add_argument(
        "--filter", action="append", metavar="FIELD=VALUE", help="see below; may be repeated: all must hold"
    )
    part.add_argument("--group", choices=["document"], help="show the best pages of each document together")
    part.add_argument("--mode", choices=MODES, default="auto", help="way of searching (auto)")
    part.add_argument("--exact", action="store_true", help="compare with the image of every page")
    part.add_argument("--rerank", metavar="MODEL", default="", help="order the hits anew by a reranker")
    part.add_argument("--open", action="store_true", help="open the file of the first hit")
    part.add_argument("--json", action="store_true", help="print the reply as JSON")
    part.add_argument(
        "--redis", dest="redis_url", metavar="URL", help="Redis of the workers, if it is not our own"
    )
    part.add_argument("--data", metavar="FOLDER", help="of the `mlxq up` that runs (~/.local/share/mlxq)")


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000")
    return int(text)
