"""The models of this machine where no server runs: its catalogue, read and changed without one."""

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from cli.cannot_do import CannotDo
from cli.client.replies import Details, Model, Shown
from cli.client.server import NoServer, Server, server_of
from jobs.catalogue.entry import Catalogue, CatalogueEntry, is_same_name
from jobs.catalogue.file import CatalogueFile, CatalogueUnusable
from jobs.catalogue.names import with_tag, without_latest
from jobs.catalogue.settings_models import DEFAULT_MODELS, needed_by, sources_of

if TYPE_CHECKING:
    from jobs.catalogue.changes import Removal
    from jobs.machines.commands import CopyModel, CreateModel, RemoveModel

T = TypeVar("T")

_CAPABILITIES = {
    "embedding": ("embedding",),
    "llm": ("completion",),
    "vlm": ("completion", "vision"),
}


class Offline:
    """data: the data folder. models: the settings' MLXQ_MODELS."""

    def __init__(self, data: Path, models: tuple[str, ...]) -> None:
        self.data = data
        self.folder = data.absolute() / "models"
        """Of models that were converted here."""
        self._served = tuple(sources_of(models))
        self._needed = needed_by(models)

    def catalogue(self) -> Catalogue:
        """Raises CannotDo."""
        try:
            return CatalogueFile(self.data).read()
        except CatalogueUnusable as error:
            raise CannotDo(f"{error}") from error

    def models(self) -> tuple[Model, ...]:
        """As a list has them. Their digests are told by workers alone. Raises CannotDo."""
        return tuple(_model_of(entry) for entry in self.catalogue().entries)

    def find(self, name: str) -> CatalogueEntry:
        """By its name, or by that without the organisation where it means one model. Raises CannotDo."""
        catalogue = self.catalogue()
        if found := catalogue.find(name):
            return found
        wanted = without_latest(name).casefold()
        meant = [each for each in catalogue.entries if each.name.casefold().rpartition("/")[2] == wanted]
        if len(meant) > 1:
            names = " or ".join(each.name for each in meant)
            raise CannotDo(f"model {name!r} may be {names}: name one of them")
        if not meant:
            raise CannotDo(f"model {name!r} not found in the catalogue of this machine")
        return meant[0]

    def knows(self, name: str) -> bool:
        """Whether the catalogue has exactly this name."""
        return self.catalogue().find(name) is not None

    def is_served(self, name: str) -> bool:
        """Whether the settings name it."""
        return any(is_same_name(name, each) for each in self._served)

    def meant(self, name: str) -> str:
        """The name in the catalogue, or of the settings. Raises CannotDo."""
        return name if self.is_served(name) else self.find(name).name

    def removal(self, name: str) -> "Removal":
        """What would go with a model of exactly this name. Raises UnknownModel, InvalidInput, CannotDo."""
        from jobs.catalogue.changes import removed

        return removed(self.catalogue(), name, served=self._served, needed=self._needed)

    def change(self, command: "CopyModel | CreateModel | RemoveModel") -> None:
        """As a machine's agent does it. Raises CannotDo."""
        from jobs.errors import JobError
        from workers.host.changes import Changes

        try:
            Changes(self.data, self._served, self._needed).carry_out(command)
        except JobError as error:
            raise CannotDo(error.message) from error
        except CatalogueUnusable as error:
            raise CannotDo(f"{error}") from error
        except OSError as error:
            raise CannotDo(f"{error.filename}: {error.strerror}.") from error


def offline_of(options: argparse.Namespace) -> Offline:
    """Raises CannotDo."""
    return Offline(data_folder(options.data), _models(os.environ.get("MLXQ_MODELS")))


def data_folder(given: str | None = None) -> Path:
    """This one, or that of MLXQ_DATA, or its default."""
    return Path(given or os.environ.get("MLXQ_DATA") or Path.home() / ".local" / "share" / "mlxq")


def asked(options: argparse.Namespace, online: Callable[[Server], T], offline: Callable[[Offline], T]) -> T:
    """What the server says; or what this machine's catalogue says, where none runs here and no other is named. That is
    told on standard error. Raises CannotDo.
    """
    server = server_of(options)
    try:
        return online(server)
    except NoServer:
        if options.url is not None or not server.is_here:
            raise
    found = offline(offline_of(options))
    print(f"note: no server answers at {server}; this is the catalogue of this machine.", file=sys.stderr)
    return found


def _model_of(entry: CatalogueEntry) -> Model:
    return Model(
        name=with_tag(entry.name),
        modified_at=datetime.fromtimestamp(entry.modified_at, UTC).isoformat(),
        size=entry.size_bytes,
        details=Details(parent_model=entry.of, quantization_level=entry.quantisation),
    )


def shown_of(entry: CatalogueEntry, root: CatalogueEntry) -> Shown:
    """root: the entry with its files."""
    lines = [
        f"{name} {msgspec.json.encode(each).decode()}"
        for name, value in entry.defaults.parameters.items()
        for each in (value if isinstance(value, tuple) else (value,))
    ]
    return Shown(
        details=Details(parent_model=entry.of, quantization_level=root.quantisation),
        capabilities=_CAPABILITIES.get(root.kind or "", ()),
        license=entry.license or root.license,
        parameters="\n".join(lines),
        template=entry.template,
        system=entry.defaults.system,
    )


def _models(models: str | None) -> tuple[str, ...]:
    """MLXQ_MODELS. Raises CannotDo."""
    if models is None:
        return DEFAULT_MODELS
    try:
        return msgspec.json.decode(models, type=tuple[str, ...])
    except msgspec.DecodeError as error:
        raise CannotDo(f'MLXQ_MODELS={models}: Not a JSON list, such as ["all-MiniLM-L6-v2"].') from error
