"""Where files lie in the Hugging Face cache: blobs named by their digest, a folder of links for each commit, refs.

Other tools find there what mlxq pulls. What is not complete lies beside its blob, under a name that `hf cache` counts
as incomplete, too.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.file_download import repo_folder_name

from jobs.catalogue.marks import mark, marked
from jobs.catalogue.pull_lock import lock_of
from workers.hub.listing import RemoteFile, Repository
from workers.hub.problem import PullError

PART = ".mlxq.incomplete"
STAGING = ".mlxq-staging-"
"""How the folder of a commit begins that is not complete yet."""
CONFIG = "config.json"


def cache_folder(folder: Path | None = None) -> Path:
    """This one, or that of HF_HUB_CACHE and HF_HOME."""
    return Path(folder or constants.HF_HUB_CACHE).expanduser()


class CachedRepository:
    """The places of one repository."""

    def __init__(self, cache: Path, repository: Repository) -> None:
        self.repository = repository
        name = repo_folder_name(repo_id=repository.name, repo_type="model")
        self.folder = cache / name
        self.blobs = self.folder / "blobs"
        self.snapshot = self.folder / "snapshots" / repository.commit
        self.lock = lock_of(self.snapshot)

    def blob(self, file: RemoteFile) -> Path:
        return self.blobs / file.digest

    def part(self, file: RemoteFile) -> Path:
        """What is downloaded of it so far. It only ever grows."""
        return self.blobs / f"{file.digest}{PART}"

    def bytes_here(self, file: RemoteFile) -> int:
        """Of the blob or of its part."""
        for path in (self.blob(file), self.part(file)):
            with contextlib.suppress(OSError):
                return path.stat().st_size
        return 0

    def mark(self, files: Iterable[RemoteFile]) -> None:
        """Before they come: what is not here yet will be mlxq's own. Raises OSError."""
        mark(self.folder, [file.digest for file in files if not self.blob(file).exists()])

    def is_pulled(self, files: Iterable[RemoteFile]) -> bool:
        """Whether mlxq downloaded all of them, now or before."""
        return {file.digest for file in files} <= marked(self.folder)

    @contextlib.contextmanager
    def preview(self, files: Iterable[RemoteFile], here: Iterable[RemoteFile]) -> Generator[Path]:
        """A folder of the snapshot's name with its subfolders, and with those files alone that are here. Raises
        OSError.
        """
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made) / self.folder.name / "snapshots" / self.repository.commit
            for file in files:
                (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
            for file in here:
                (folder / file.path).symlink_to(self.blob(file).absolute())
            yield folder

    def show(self, files: Iterable[RemoteFile], revision: str | None) -> None:
        """Make the commit's folder appear, all blobs of which are there, then the revision's ref.

        The folder appears by one rename. In one that is there already, config.json is the last that comes.
        """
        ordered = sorted(files, key=lambda file: (file.path == CONFIG, file.path))
        if self.snapshot.is_dir():
            for file in ordered:
                self._link(self.snapshot, file)
        else:
            staging = self.snapshot.with_name(f"{STAGING}{self.repository.commit}")
            shutil.rmtree(staging, ignore_errors=True)
            for file in ordered:
                self._link(staging, file)
            staging.rename(self.snapshot)
        # A ref names a branch or a tag; a commit needs none.
        if revision != self.repository.commit:
            _replace_text(
                self.folder / "refs" / (revision or constants.DEFAULT_REVISION), self.repository.commit
            )

    def _link(self, folder: Path, file: RemoteFile) -> None:
        """A relative link, so that the cache may be moved. It replaces what is there in one step."""
        place = folder / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        up = [".."] * (2 + len(Path(file.path).parent.parts))
        target = os.path.join(*up, "blobs", file.digest)
        if place.is_symlink() and os.readlink(place) == target:
            return
        fresh = place.with_name(f"{place.name}{PART}")
        fresh.unlink(missing_ok=True)
        try:
            fresh.symlink_to(target)
        except PermissionError as error:  # what exFAT and the like answer
            raise PullError(
                "no_links",
                f"The disk of {self.folder} knows no symbolic links, of which the Hugging Face cache is made.",
                "Set HF_HOME to a folder on another disk.",
            ) from error
        fresh.replace(place)


def _replace_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}{PART}")
    fresh.write_text(text)
    fresh.replace(path)


def find_snapshot(cache: Path, name: str, revision: str | None) -> Path | None:
    """The folder of a revision that was downloaded by whichever tool, whole or not. name: ORGANISATION/NAME."""
    folder = cache / repo_folder_name(repo_id=name, repo_type="model")
    wanted = revision or constants.DEFAULT_REVISION
    with contextlib.suppress(OSError):
        wanted = (folder / "refs" / wanted).read_text().strip()
    snapshot = folder / "snapshots" / wanted
    return snapshot if snapshot.parent == folder / "snapshots" and snapshot.is_dir() else None
