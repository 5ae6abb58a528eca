"""`mlxq ingest`: folders into collections; what is there, what has failed."""

import argparse
import sqlite3

from cli.cannot_do import CannotDo
from cli.ingest.request import IngestRequest, existing, passwords_in
from cli.ingest.status import show_errors, show_status
from cli.options.ingest import ACTIONS
from ingest.collections.layout import DEFAULT_COLLECTION
from ingest.manifest.database import ManifestUnusable
from jobs.search.errors import CollectionBusy
from jobs.settings import Settings


def ingest(settings: Settings, options: argparse.Namespace) -> int:
    """Exit codes: 0, 3 where files have failed, 130 where it was stopped. Raises: CannotDo, OSError."""
    action = options.folders[0] if len(options.folders) == 1 and options.folders[0] in ACTIONS else ""
    try:
        if action == "status":
            return show_status(settings, options.collection, json=options.json)
        if action == "errors":
            return show_errors(settings, options.collection, json=options.json)
        from cli.ingest.session import ingest_folders

        return ingest_folders(settings, request_of(options, action))
    except (ManifestUnusable, CollectionBusy) as error:
        raise CannotDo(f"{error}") from error
    except sqlite3.Error as error:
        raise CannotDo(f"The manifest of what was ingested cannot be used: {error}.") from error


def request_of(options: argparse.Namespace, action: str = "") -> IngestRequest:
    """action: retry, reembed or none.

    Raises: CannotDo where the options make no sense together, or a folder is not there.
    """
    if options.into and options.collection:
        raise CannotDo("-c and --into both name the collection: give one of them.")
    if options.yes and not options.prune and action != "reembed":
        raise CannotDo("--yes goes with --prune and with reembed: it answers what these ask.")
    if action and (options.watch or options.prune):
        raise CannotDo(
            f"`mlxq ingest {action}` knows its files by itself: --watch and --prune go with folders."
        )
    if options.keep_old and action != "reembed":
        raise CannotDo("--keep-old goes with `mlxq ingest reembed`.")
    if options.into and action:
        raise CannotDo(f"`mlxq ingest {action}` is about a collection that is there: name it by -c.")
    collection = options.into or options.collection or DEFAULT_COLLECTION
    if "@" in collection:  # parts a collection from its generations in the store
        raise CannotDo(f"A collection's name must not have an @: {collection!r} has one.")
    return IngestRequest(
        folders=() if action else existing(options.folders),
        collection=collection,
        is_new=bool(options.into),
        kinds=tuple(kind for kind in ("visual", "text") if getattr(options, kind)),
        models=tuple(options.ingest_models or ()),
        passwords=passwords_in(options.password_file),
        retry=action == "retry",
        reembed=action == "reembed",
        keep_old=options.keep_old,
        prune=options.prune,
        yes=options.yes,
        watch=options.watch,
        dry_run=options.dry_run,
        quiet=options.quiet,
        json=options.json,
    )
