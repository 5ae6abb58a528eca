"""`mlxq rm`: models are forgotten, and their files deleted where mlxq pulled them or somebody says so."""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from cli.cannot_do import CannotDo
from cli.client import stdin
from cli.client.server import NOT_FOUND, Refused, Server, server_of
from cli.models.offline import Offline, asked, offline_of
from cli.tables.units import size
from jobs.catalogue.deletion import Deletion, delete, planned, unused
from jobs.errors import JobError


class _Files(NamedTuple):
    """What lies on this machine, and no other model needs."""

    folder: str
    may_go: bool
    """It is in the hub's cache or in the data folder. Any other folder is its owner's."""
    freed_bytes: int


def rm(options: argparse.Namespace) -> int:
    """Raises CannotDo."""
    for name in options.models:
        _remove(name, options)
    return 0


def _remove(name: str, options: argparse.Namespace) -> None:
    here = offline_of(options)
    is_ours = options.url is None and server_of(options).is_here
    files = _files(here, name) if is_ours else None

    def offline(here: Offline) -> None:
        from jobs.machines.commands import RemoveModel  # slow to import, and the server needs none of it

        here.change(RemoveModel(name=name))

    def online(server: Server) -> None:
        try:
            server.send("DELETE", "/api/delete", {"model": name}, works=True)
        except Refused as error:
            # What was pulled a moment ago is in the catalogue before the server knows it.
            if error.status != NOT_FOUND or not is_ours or not here.knows(name):
                raise
            offline(here)

    asked(options, online, offline)
    # A server may have another data folder than this command, or be on another machine behind a tunnel.
    if files is None or any(entry.folder == files.folder for entry in here.catalogue().entries):
        print(f"deleted '{name}'")
        return
    rest = planned(Path(files.folder), here.folder)  # what mlxq pulled is gone by now
    if not files.may_go or (rest.paths and not _may_delete(name, files.folder, rest, options)):
        print(f"deleted '{name}'; its files stay in {files.folder}")
        return
    try:
        with unused(name, Path(files.folder)) if rest.paths else nullcontext():
            delete(rest)
    except JobError as error:
        raise CannotDo(f"{name} is forgotten, and its files stay: {error.message}") from error
    except OSError as error:
        raise CannotDo(f"{name} is forgotten, but not all of its files are deleted: {error}.") from error
    print(f"deleted '{name}', {size(files.freed_bytes)} freed")


def _files(here: Offline, name: str) -> _Files | None:
    """None where this machine's catalogue has no such model, or another one needs its files."""
    try:
        removal = here.removal(name)
    except (JobError, CannotDo):
        return None
    if not removal.folder:
        return None
    deletion = planned(Path(removal.folder), here.folder)
    return _Files(removal.folder, bool(deletion.paths), deletion.freed_bytes)


def _may_delete(name: str, folder: str, rest: Deletion, options: argparse.Namespace) -> bool:
    """Whether files that mlxq did not put there go, too."""
    if options.yes or not stdin.is_terminal():
        return options.yes
    print(
        f"mlxq did not pull all of {name}. Delete its files in {folder}, too, {size(rest.freed_bytes)}? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")
