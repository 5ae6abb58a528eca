"""A repository of the hub into the cache: listed, chosen, weighed against the disk, downloaded, shown."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from jobs.catalogue.pull_lock import held
from workers.hub.cache import CONFIG, CachedRepository, cache_folder
from workers.hub.download import Download, Patience
from workers.hub.leftovers import sweep
from workers.hub.listing import RemoteFile, Repository, list_repository
from workers.hub.problem import PullError, disk_full, hub_error
from workers.hub.reporter import Reporter
from workers.hub.wanted import FIRST, INDEX, MODULES, wanted_files

T = TypeVar("T")

FILES_AT_A_TIME = 4
TOKENIZER = "tokenizer.json"
SPARE_BYTES = 64 * 1024**2
"""Left free on the disk, for whatever else writes there."""


@dataclass(frozen=True, slots=True)
class Hub:
    """Where models come from and where they go."""

    endpoint: str | None = None
    """None: HF_ENDPOINT, or the public hub."""
    cache: Path | None = None
    """None: HF_HUB_CACHE, or in HF_HOME."""
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model that is on this machine now."""

    name: str
    """As the hub calls it now."""
    commit: str
    folder: Path
    size_bytes: int
    downloaded_bytes: int
    """0: all of it was here."""
    pulled: bool
    """mlxq downloaded all of its files, now or before: no other tool did."""


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]
    """The file of each tensor."""


def fetch(
    name: str,
    revision: str | None,
    hub: Hub,
    progress: Reporter,
    *,
    programs: bool = False,
    also_needed: Callable[[Sequence[RemoteFile]], tuple[Path, int]] | None = None,
    check: Callable[[Path], object] | None = None,
) -> Fetched:
    """name: ORGANISATION/NAME. programs: also *.py, which run with the rights of whoever trusts them.

    also_needed: where, and how many bytes, what is made of these files will take. check: raises where a model is not
    wanted, by a folder with its config.json and its lists of files, before the rest comes. Raises PullError, and what
    `check` does.
    """
    progress.say("pulling manifest")
    cache = cache_folder(hub.cache)
    sweep(cache)
    repository = list_repository(name, revision, hub.endpoint)
    if repository.name != name:
        progress.say(f"{name} is called {repository.name} now")
    cached = CachedRepository(cache, repository)
    try:
        with held(cached.lock, _follow(cached, progress)):
            return _fetch(cached, revision, hub.patience, progress, programs, also_needed, check)
    except OSError as error:
        raise hub_error(error, name, revision) from error


def _fetch(
    cached: CachedRepository,
    revision: str | None,
    patience: Patience,
    progress: Reporter,
    programs: bool,
    also_needed: Callable[[Sequence[RemoteFile]], tuple[Path, int]] | None,
    check: Callable[[Path], object] | None,
) -> Fetched:
    files = _choose(cached, patience, progress, programs)
    if check is not None:
        first = [file for file in files if file.path in (*FIRST, CONFIG)]
        _download(cached, first, patience, progress)
        with cached.preview(files, first) as folder:
            check(folder)
    missing = sum(file.size_bytes - cached.bytes_here(file) for file in files)
    total = sum(file.size_bytes for file in files)
    check_disk([(cached.folder, missing), *([also_needed(files)] if also_needed else [])])
    progress.say("pulling manifest", total=total, completed=total - missing)
    _download(cached, sorted(files, key=lambda file: -file.size_bytes), patience, progress)
    progress.say(
        "verifying sha256 digest"
    )  # each file as it came; said because Ollama's clients know the word
    progress.say("writing manifest")
    cached.show(files, revision)
    name, commit = cached.repository.name, cached.repository.commit
    return Fetched(name, commit, cached.snapshot, total, missing, cached.is_pulled(files))


def _choose(
    cached: CachedRepository, patience: Patience, progress: Reporter, programs: bool
) -> list[RemoteFile]:
    """Raises PullError, also where the repository holds no model that can be served."""
    repository = cached.repository
    first = [repository.files[path] for path in FIRST if path in repository.files]
    _download(cached, first, patience, progress)
    index = _read(cached, INDEX, _Index)
    names = None if index is None else set(index.weight_map.values())
    modules = _read(cached, MODULES, list[dict[str, Any]]) or []
    folders = [str(each.get("path", "")) for each in modules]
    paths = wanted_files(list(repository.files), names, folders, programs=programs)
    _check_model(repository, paths, names or ())
    return [repository.files[path] for path in paths]


def _read(cached: CachedRepository, path: str, kind: type[T]) -> T | None:
    """None: there is no such file. Raises PullError for one of another shape."""
    file = cached.repository.files.get(path)
    if file is None:
        return None
    try:
        return msgspec.json.decode(cached.blob(file).read_bytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PullError(
            "not_a_model",
            f"{path} of {cached.repository.name} is not what it should be ({error}).",
            "Tell its authors, and pull another revision or model.",
        ) from error


def _check_model(repository: Repository, paths: Sequence[str], shards: Iterable[str]) -> None:
    lost = sorted(set(shards) - repository.files.keys())
    if lost:
        raise PullError(
            "not_a_model",
            f"{repository.name} lacks {lost[0]}, which its index of weights names.",
            "Pull another revision of it, or another model.",
        )
    if CONFIG not in paths:
        raise PullError(
            "not_a_model",
            f"{repository.name} has no config.json, so it is not a model that can be served.",
            "Give the repository of the whole model: adapters, GGUF files and data sets are none.",
        )
    if TOKENIZER not in paths:
        raise PullError(
            "no_tokenizer",
            f"{repository.name} has no {TOKENIZER}, which mlxq reads texts with.",
            "Look for a conversion of it, as those of mlx-community.",
        )
    if not any(path.endswith(".safetensors") for path in paths):
        raise PullError(
            "no_safetensors",
            f"{repository.name} has no weights as safetensors, and other formats are not pulled.",
            "Look for a conversion of it, as those of mlx-community.",
        )


def check_disk(needed: Sequence[tuple[Path, int]]) -> None:
    """needed: folders, with the bytes that go there. Those on one disk are added up. Raises PullError."""
    sums: dict[int, tuple[Path, int]] = {}
    for folder, size_bytes in needed:
        there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        disk = there.stat().st_dev
        first, so_far = sums.get(disk, (there, 0))
        sums[disk] = first, so_far + size_bytes
    for folder, size_bytes in sums.values():
        free = shutil.disk_usage(folder).free
        if size_bytes and size_bytes + SPARE_BYTES > free:
            raise disk_full(folder, size_bytes + SPARE_BYTES, free)


def _download(
    cached: CachedRepository, files: Sequence[RemoteFile], patience: Patience, progress: Reporter
) -> None:
    """Several at a time. The first failure ends all. Raises PullError."""
    once = {file.digest: file for file in files}.values()  # equal files are one blob
    if not once:
        return
    cached.mark(once)
    with ThreadPoolExecutor(FILES_AT_A_TIME, thread_name_prefix="pull") as pool:
        running = [pool.submit(Download(cached, file, progress, patience).run) for file in once]
        try:
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
        except BaseException:  # a signal's: the threads end, too
            progress.cancel()
            raise
        failed = [error for each in done if (error := each.exception())]
        if failed:
            progress.cancel()
            pool.shutdown(cancel_futures=True)
            raise failed[0]


def _follow(cached: CachedRepository, progress: Reporter) -> Callable[[float], None]:
    """What is told while another process pulls the same repository: how far it is, by the sizes of its files."""
    told: set[str] = set()

    def look(seconds: float) -> None:
        if not told:
            progress.say("waiting for another pull of the same model")
            told.add("")
        for file in cached.repository.files.values():
            have = 0
            with contextlib.suppress(OSError):
                have = min(cached.bytes_here(file), file.size_bytes)
            if have and file.digest not in told:
                progress.at(file, have)
                if have == file.size_bytes:
                    told.add(file.digest)
        progress.pause(seconds)

    return look
