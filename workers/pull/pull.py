"""A model from the hub, or from a folder, into the catalogue."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import msgspec

from jobs.catalogue.changes import is_needed
from jobs.catalogue.deletion import delete, planned, unused
from jobs.catalogue.entry import Catalogue, CatalogueEntry, Kind
from jobs.catalogue.file import CatalogueFile, CatalogueUnusable
from jobs.catalogue.marks import is_pulled
from jobs.catalogue.pull_lock import held, lock_of
from jobs.catalogue.settings_models import needed_by
from jobs.errors import InvalidInput
from workers.hub.cache import CONFIG, cache_folder, find_snapshot
from workers.hub.fetch import Fetched, Hub, check_disk, fetch
from workers.hub.listing import RemoteFile
from workers.hub.problem import PullError
from workers.hub.reporter import Reporter
from workers.models.detect import kind_of
from workers.models.resolve import LocalModel, is_complete
from workers.pull.quantise.modes import converted_bytes
from workers.pull.quantise.staging import sweep
from workers.pull.request import PullRequest

log = logging.getLogger(__name__)


def pull(request: PullRequest, hub: Hub, progress: Reporter) -> CatalogueEntry:
    """What stands in the catalogue now. Tells "success" last. Raises PullError; then the catalogue is as it was."""
    name = request.entry_name()
    file = CatalogueFile(request.data)
    with _usable_catalogue():
        request.check_free(file.read(), name)
    sweep(request.data.absolute() / "models")
    fetched = _local(request, progress) if request.folder else _from_hub(request, hub, progress)
    kind, task = _kind(request, fetched.folder)
    entry = CatalogueEntry(
        name=name,
        source=request.source_name,
        revision=request.revision or "",
        commit=fetched.commit,
        quantisation=request.quantisation,
        folder=str(fetched.folder),
        pulled=fetched.pulled,
        size_bytes=fetched.size_bytes,
        task=task,
        kind=kind,
        created_at=time.time(),
        modified_at=time.time(),
    )
    if request.quantise:
        # It imports much that a download does without.
        from workers.pull.quantise.convert import Source, quantise

        made = quantise(
            Source(fetched.name, fetched.commit, fetched.folder, kind, task, request.trusts_code),
            request.quantise,
            request.target,
            progress,
        )
        entry = msgspec.structs.replace(
            entry, folder=str(made.folder), size_bytes=made.size_bytes, pulled=True
        )
    replaced: list[CatalogueEntry | None] = []

    def change(before: Catalogue) -> Catalogue:
        replaced.append(before.find(name))
        return _with(before, entry, request)

    with _usable_catalogue():
        with _kept(entry, progress):
            file.update(change)
        if replaced[0]:
            _delete_earlier(replaced[0], file, request)
    progress.say("success", name=name)
    return entry


def _delete_earlier(replaced: CatalogueEntry, file: CatalogueFile, request: PullRequest) -> None:
    """The files of an earlier commit, where mlxq pulled them and nothing else needs them."""
    folder, models = Path(replaced.folder), request.data.absolute() / "models"
    if not replaced.pulled or not planned(folder, models).paths:
        return
    try:
        with unused(replaced.name, folder):
            if not is_needed(replaced, file.read(), needed_by(request.models)):
                delete(planned(folder, models, only_pulled=True))
    except (InvalidInput, OSError) as error:
        log.warning("an earlier commit of a model stays", extra={"folder": str(folder), "error": str(error)})


@contextmanager
def _kept(entry: CatalogueEntry, progress: Reporter) -> Iterator[None]:
    """Nobody removes the files before they have their name. Raises PullError where somebody has."""
    folder = Path(entry.folder)
    # Else nobody removes them unasked, and the folder may be one where no lock can be made.
    with held(lock_of(folder), progress.pause) if entry.pulled else nullcontext():
        if not (folder / CONFIG).is_file():
            raise PullError(
                "removed", f"{entry.name} was removed while it was pulled.", "Pull it again if you want it."
            )
        yield


def _with(before: Catalogue, entry: CatalogueEntry, request: PullRequest) -> Catalogue:
    """Raises PullError where the name was taken meanwhile."""
    request.check_free(before, entry.name)
    there = before.find(entry.name)
    same_files = [each for each in before.entries if each.folder == entry.folder]
    return before.with_entry(
        msgspec.structs.replace(
            entry,
            pulled=entry.pulled or any(each.pulled for each in same_files),
            created_at=there.created_at if there else entry.created_at,
        )
    )


def _from_hub(request: PullRequest, hub: Hub, progress: Reporter) -> Fetched:
    def also_needed(files: Sequence[RemoteFile]) -> tuple[Path, int]:
        weights = sum(file.size_bytes for file in files if file.path.endswith(".safetensors"))
        bits = request.quantise
        return request.data, converted_bytes(weights, bits) if bits else 0

    try:
        return fetch(
            request.hub_name,
            request.revision,
            hub,
            progress,
            programs=request.trusts_code,
            also_needed=also_needed if request.quantise else None,
            # Without its weights' names it may look like one that writes, which --type embedding takes, too.
            check=lambda folder: _kind(request, folder),
        )
    except PullError as error:
        folder = find_snapshot(cache_folder(hub.cache), request.hub_name, request.revision)
        if error.code != "offline" or folder is None or not is_complete(folder):
            raise
        progress.say("the model hub cannot be reached: what is on this machine is used")
        return Fetched(request.hub_name, folder.name, folder, _size_bytes(folder), 0, is_pulled(folder))


def _local(request: PullRequest, progress: Reporter) -> Fetched:
    folder = request.folder
    assert folder is not None
    if not (folder / "config.json").is_file():
        raise PullError(
            "not_a_model",
            f"The folder {folder} holds no config.json, so it is not a model's folder.",
            "Give the folder that holds the model's files, or ORGANISATION/NAME as on the model hub.",
        )
    if request.revision:
        raise PullError(
            "no_revision", f"{folder} is a folder, which has no revisions.", "Leave --revision out."
        )
    progress.say("reading the folder")
    weights = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    if request.quantise:
        check_disk([(request.data, converted_bytes(weights, request.quantise))])
    return Fetched(str(folder), "", folder, _size_bytes(folder), 0, pulled=False)


def _size_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _kind(request: PullRequest, folder: Path) -> tuple[Kind, Literal["", "embed"]]:
    """And the task, for a model that writes text and is to embed. Raises PullError."""
    try:
        found = kind_of(LocalModel(request.name or folder.name, folder))
    except InvalidInput as error:
        raise PullError(
            "not_a_model", error.message, "Pull another revision of it, or another model."
        ) from error
    wanted = request.kind
    writes = found in ("llm", "vlm")
    if wanted is None or wanted == found or (wanted == "llm" and found == "vlm"):
        return found, ""
    if wanted == "embedding" and writes:
        return found, "embed"
    raise PullError(
        "wrong_type",
        f"{request.source} is of the type {found} by its files, and not {wanted}.",
        f"Leave --type out, or give --type {found}.",
    )


@contextmanager
def _usable_catalogue() -> Iterator[None]:
    try:
        yield
    except CatalogueUnusable as error:
        raise PullError("catalogue", str(error), "Then pull again: what was downloaded is kept.") from error
