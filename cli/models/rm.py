"""`mlxq rm`: models are forgotten, and their files deleted where mlxq pulled them or somebody says so."""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from cli.cannot_do import CannotDo
from cli.client import stdin
from cli.client.server import NOT_FOUND, Refused, Server
from cli.models.offline import Offline, asked, offline_of
from cli.tables.units import size
from jobs.catalogue.changes import removed
from jobs.catalogue.deletion import Deletion, delete, planned
from jobs.errors import JobError


class _Files(NamedTuple):
    """What lies on this machine, and no other model needs. pulled: mlxq put it there."""

    folder: str
    pulled: bool
    deletion: Deletion


def rm(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    for name in options.models:
        _remove(name, options)
    return 0


def _remove(name: str, options: argparse.Namespace) -> None:
    files = _files(offline_of(options), name) if options.url is None else None
    deletes = files is not None and not files.pulled and _may_delete(name, files, options)

    def offline(here: Offline) -> None:
        from jobs.machines.commands import RemoveModel  # slow to import, and the server needs none of it

        here.change(RemoveModel(name=here.meant(name)))

    def online(server: Server) -> None:
        try:
            server.send("DELETE", "/api/delete", {"model": name}, works=True)
        except Refused as error:
            # What was pulled a moment ago is in the catalogue before the server knows it.
            if error.status != NOT_FOUND or options.url is not None or not offline_of(options).knows(name):
                raise
            offline(offline_of(options))

    asked(options, online, offline)
    if files is None:
        print(f"deleted '{name}'")
        return
    if deletes:
        try:
            delete(files.deletion)
        except OSError as error:
            raise CannotDo(f"{name} is forgotten, but not all of its files are deleted: {error}.") from error
    elif not files.pulled:
        print(f"deleted '{name}'; its files stay in {files.folder}")
        return
    print(f"deleted '{name}', {size(files.deletion.freed_bytes)} freed")


def _files(here: Offline, name: str) -> _Files | None:
    """None where this machine's catalogue has no such model, or another one needs its files."""
    try:
        removal = removed(here.catalogue(), here.meant(name), served=())
    except (JobError, CannotDo):
        return None
    if not removal.folder:
        return None
    deletion = planned(Path(removal.folder), here.folder)
    return _Files(removal.folder, removal.entry.pulled, deletion) if deletion.paths else None


def _may_delete(name: str, files: _Files, options: argparse.Namespace) -> bool:
    """Whether files that mlxq did not put there go, too."""
    if options.yes or not stdin.is_terminal():
        return options.yes
    print(
        f"mlxq did not pull {name}. Delete its files in {files.folder}, too, "
        f"{size(files.deletion.freed_bytes)}? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")
