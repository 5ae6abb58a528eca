"""What a pull is asked for."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import msgspec

from jobs.catalogue.entry import Catalogue, CatalogueEntry, Kind, is_same_name
from jobs.catalogue.limits import MAX_ENTRIES, is_full
from jobs.catalogue.names import checked_name, without_latest
from jobs.catalogue.settings_models import sources_of
from jobs.errors import InvalidInput
from jobs.machines.aliases import check_new_alias
from workers.hub.problem import PullError
from workers.models.resolve import BUNDLED_NAMES, bundled_folder

Quantisation = Literal["4", "6", "8", "mxfp4", "nvfp4"]
QUANTISATIONS: tuple[str, ...] = get_args(Quantisation)
KINDS: tuple[str, ...] = get_args(Kind)


class PullRequest(msgspec.Struct, frozen=True):
    """One model, by its name on the hub or by its folder."""

    source: str
    """ORGANISATION/NAME, or a folder on this machine."""
    data: Path
    """The data folder: the catalogue is there, and what is quantised."""
    name: str = ""
    """What it will be called. Empty: as its source, with the quantisation behind it."""
    kind: Kind | None = None
    """None: as its files tell."""
    quantise: Quantisation | None = None
    revision: str | None = None
    trusted: Sequence[str] = ()
    """Names on the hub whose programs may run on this machine."""
    from_hub: bool = False
    """The source is no folder, whatever lies here: whoever asks from elsewhere must not read this machine's files."""
    models: Sequence[str] = ()
    """The settings' MLXQ_MODELS."""

    @property
    def trusts_code(self) -> bool:
        """Whether the source's own programs are pulled, and may run when it is quantised."""
        return self.source.casefold() in (name.casefold() for name in self.trusted)

    @property
    def quantisation(self) -> str:
        """In the catalogue's words: 4bit, mxfp4, …; empty: none."""
        return f"{self.quantise}bit" if self.quantise in ("4", "6", "8") else self.quantise or ""

    @property
    def folder(self) -> Path | None:
        """The source, where it is a folder, or carried by a package."""
        if self.source.casefold() in (name.casefold() for name in BUNDLED_NAMES):
            return bundled_folder()
        if self.from_hub:
            return None
        path = Path(self.source).expanduser()
        return path.resolve() if path.is_dir() or self.source.startswith((".", "/", "~")) else None

    @property
    def last_name(self) -> str:
        """What it is called by itself, with its organisation where it has one."""
        names_a_path = self.folder is not None and self.source not in BUNDLED_NAMES
        return self.folder.name if self.folder and names_a_path else without_latest(self.source)

    @property
    def target(self) -> Path:
        """Where the quantised model lies. Its own name stays in it, which may be all that tells what it is for."""
        marks = [self.last_name, self.quantisation, (self.revision or "").replace("/", "-")]
        if self.folder:
            marks.append(hashlib.sha256(str(self.folder).encode()).hexdigest()[:8])
        return self.data.absolute() / "models" / "-".join(filter(None, marks)).replace(":", "-")

    def entry_name(self) -> str:
        """As the catalogue keeps it. Raises PullError."""
        name = self.name or self.last_name
        if not self.name and self.quantise:
            name = f"{name}-{self.quantisation}"
        try:
            return checked_name(name)
        except ValueError as error:
            raise PullError("bad_name", str(error), "Give another one with --as.") from error

    def check_free(self, catalogue: Catalogue, name: str) -> None:
        """Raises PullError where the name is another model's, or the catalogue is full."""
        there = catalogue.find(name)
        if there is None and is_full(catalogue):
            raise PullError(
                "catalogue",
                f"This machine has {MAX_ENTRIES} models and aliases, and that is the most.",
                "Remove one with `mlxq rm`.",
            )
        sources = sources_of(self.models)
        if self.name and there is None and not any(is_same_name(served, name) for served in sources):
            try:
                check_new_alias(name, catalogue, sources)
            except InvalidInput as error:
                raise PullError("name_taken", error.message, "Give it with --as.") from error
        for served, source in sources.items():
            if is_same_name(served, name) and (self.quantise or not self._is_from(source)):
                raise PullError(
                    "name_taken",
                    f"{name} is {source} in MLXQ_MODELS already.",
                    "Give another name with --as.",
                )
        if there is not None and not self._is_same(there):
            what = f"an alias of {there.of}" if there.of else f"the name of {there.source or there.folder}"
            raise PullError(
                "name_taken",
                f"{name} is {what} already.",
                f"Give another one with --as, or `mlxq rm {name}` first.",
            )

    def _is_from(self, source: str) -> bool:
        """Whether the settings name the same source."""
        bundled = {name.casefold() for name in BUNDLED_NAMES}
        ours = {self.source.casefold(), without_latest(self.source).casefold(), self.source_name.casefold()}
        return source.casefold() in ours or (source.casefold() in bundled and bool(ours & bundled))

    def _is_same(self, entry: CatalogueEntry) -> bool:
        if entry.of or entry.quantisation != self.quantisation:
            return False
        return entry.source.casefold() == self.source_name.casefold()

    @property
    def source_name(self) -> str:
        """As the catalogue keeps it."""
        return str(self.folder) if self.folder else self.hub_name

    @property
    def hub_name(self) -> str:
        """ORGANISATION/NAME. Ollama's ":latest" is no part of it."""
        name = without_latest(self.source)
        return BUNDLED_NAMES[-1] if name.casefold() == BUNDLED_NAMES[0].casefold() else name
