"""The options of `mlxq ingest`."""

import argparse

from cli.parser import Command

ACTIONS = ("status", "errors", "retry", "reembed")
"""What may stand where a folder would. A folder of that name is ./status."""

_TEXT = """Put folders of documents and images into a collection, to be searched. What is there already is left alone:
the same command again does what is new, and goes on where it was stopped."""


def add_ingest(command: Command) -> None:
    part = command("ingest", "Put folders of documents and images into a collection, to be searched.")
    part.description = _TEXT
    part.formatter_class = argparse.RawDescriptionHelpFormatter
    part.epilog = """  mlxq ingest status   what is in the collections, and which ingests run
  mlxq ingest errors   what could not be ingested, and what to do about it
  mlxq ingest retry    try that again
  mlxq ingest reembed  make a collection's vectors anew, by another model or with other settings:
                       the old ones are searched until all of the new ones are there

Exit codes: 0 all is in the collection, 3 some files are not, 1 nothing was done, 130 stopped.
Ctrl-C once finishes what has been begun; twice stops at once. Nothing is lost either way."""
    part.add_argument(
        "folders", nargs="+", metavar="FOLDER", help="folder or file; or status, errors, retry or reembed"
    )
    part.add_argument("-c", "--collection", metavar="NAME", help="collection to put them into (documents)")
    part.add_argument("--into", metavar="NEW", help="the same as -c; it must not be there yet")
    part.add_argument(
        "--text", action="store_true", help="make chunks of their text (where a model does that)"
    )
    part.add_argument("--visual", action="store_true", help="make images of their pages (likewise)")
    part.add_argument(
        "--model",
        action="append",
        dest="ingest_models",
        metavar="NAME",
        help="of several served models, this one",
    )
    part.add_argument(
        "--password-file", metavar="FILE", help="passwords to try on encrypted documents, one on each line"
    )
    part.add_argument(
        "--prune", action="store_true", help="remove documents whose files are gone, after showing which"
    )
    part.add_argument("--yes", action="store_true", help="do not ask before that")
    part.add_argument("--keep-old", action="store_true", help="of reembed: keep the old vectors, unsearched")
    part.add_argument(
        "--watch", action="store_true", help="go on, and follow what changes, moves and goes in the folders"
    )
    part.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    part.add_argument("--quiet", action="store_true", help="say nothing but errors")
    part.add_argument("--json", action="store_true", help="say everything as lines of JSON")
    part.add_argument(
        "--redis", dest="redis_url", metavar="URL", help="Redis of the workers, if it is not our own"
    )
    part.add_argument("--data", metavar="FOLDER", help="of the `mlxq up` that runs (~/.local/share/mlxq)")
