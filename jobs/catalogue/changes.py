"""How a catalogue changes: names are given, models and aliases are made and removed. Pure: no file is touched."""

from collections.abc import Collection
from pathlib import PurePath
from typing import NamedTuple

from msgspec.structs import replace

from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.entry import Catalogue, CatalogueEntry, is_same_name
from jobs.catalogue.limits import MAX_ENTRIES, check_texts, is_full
from jobs.catalogue.names import checked_name
from jobs.errors import InvalidInput, UnknownModel


class Removal(NamedTuple):
    """What is left, and what may go."""

    catalogue: Catalogue
    entry: CatalogueEntry
    """The one that is removed."""
    folder: str
    """The folder of files that no entry needs any more. Empty: others need it, or it has none."""


def copied(catalogue: Catalogue, source: str, name: str, *, served: Collection[str], now: float) -> Catalogue:
    """With another name for a model. served: the ids that the settings name.

    Raises UnknownModel; InvalidInput where the new name is no name, or is taken by a model with files.
    """
    origin = _origin(catalogue, source, served)
    return catalogue.with_entry(_alias(catalogue, origin, name, served, now))


def created(
    catalogue: Catalogue,
    source: str,
    name: str,
    *,
    defaults: ModelDefaults,
    template: str = "",
    license: str = "",
    adapter: str = "",
    served: Collection[str],
    now: float,
) -> Catalogue:
    """With an alias of a model and defaults of its own, beneath which are the source's. Raises what `copied` does."""
    origin = _origin(catalogue, source, served)
    alias = _alias(catalogue, origin, name, served, now)
    if adapter and alias.adapter:
        raise InvalidInput(f"{source} has an adapter already, and a model has one at most.", param="adapters")
    made = replace(
        alias,
        defaults=merged(alias.defaults, defaults),
        template=template or alias.template,
        license=license or alias.license,
        adapter=adapter or alias.adapter,
    )
    check_texts(made.defaults, made.template, made.license)
    return catalogue.with_entry(made)


def removed(
    catalogue: Catalogue, name: str, *, served: Collection[str], needed: Collection[str] = ()
) -> Removal:
    """Without a model or an alias. Another name of the model keeps its files.

    served: the ids that the settings name. needed: the folders and hub names that these stand for.
    Raises UnknownModel, and InvalidInput for a model that the settings name.
    """
    gone = catalogue.find(name)
    if (gone is None or not gone.of) and any(is_same_name(name, each) for each in served):
        raise InvalidInput(
            f"{name} is named by MLXQ_MODELS (or --model): take it out there, and start mlxq again.",
            param="model",
        )
    if gone is None:
        raise UnknownModel(f"model {name!r} not found", param="model")
    left = catalogue.without(name)
    heir = ""
    for alias in catalogue.aliases_of(gone.name):
        if heir and alias.is_alias:
            left = left.with_entry(replace(alias, of=heir))
            continue
        kept = replace(
            gone,
            name=alias.name,
            adapter=alias.adapter or gone.adapter,
            draft=alias.draft or gone.draft,
            defaults=alias.defaults,
            template=alias.template,
            license=alias.license,
            created_at=alias.created_at,
            modified_at=alias.modified_at,
        )
        left = left.with_entry(kept)
        heir = heir or (alias.name if alias.is_alias else "")
    return Removal(left, gone, "" if is_needed(gone, left, needed) else gone.folder)


def is_needed(gone: CatalogueEntry, left: Catalogue, needed: Collection[str] = ()) -> bool:
    """Whether another entry, or the settings, need the files of one that is no more. needed: as for `removed`."""
    all_needed = {*needed}.union(*((each.folder, each.adapter, each.draft) for each in left.entries))
    return any(_is_of(gone, each) for each in all_needed)


def merged(beneath: ModelDefaults, above: ModelDefaults) -> ModelDefaults:
    """Both; what `above` says goes first."""
    return ModelDefaults(
        above.system or beneath.system,
        {**beneath.parameters, **above.parameters},
        above.messages or beneath.messages,
    )


def _is_of(entry: CatalogueEntry, needed: str) -> bool:
    """Whether a folder or a hub name is one of the entry's files. A name without organisation is of a bundled model."""
    if not needed or not entry.folder:
        return False
    if PurePath(needed).is_absolute():
        return PurePath(needed).is_relative_to(entry.folder)
    wanted, source = needed.casefold(), entry.source.casefold()
    return not entry.quantisation and wanted in (source, source.rpartition("/")[2])


def _origin(catalogue: Catalogue, source: str, served: Collection[str]) -> CatalogueEntry:
    """The entry that a name means; one is made up for a model that the settings name."""
    if found := catalogue.find(source):
        return found
    for each in served:
        if is_same_name(each, source):
            return CatalogueEntry(name=each, created_at=0, modified_at=0)
    raise UnknownModel(f"model {source!r} not found", param="model")


def _alias(
    catalogue: Catalogue, origin: CatalogueEntry, name: str, served: Collection[str], now: float
) -> CatalogueEntry:
    """Of an alias the copy, so that it needs no other alias."""
    try:
        kept = checked_name(name)
    except ValueError as error:
        raise InvalidInput(f"{error}", param="model") from error
    there = catalogue.find(kept)
    if (there and not there.of) or any(is_same_name(kept, each) for each in served):
        raise InvalidInput(
            f"{kept} is a model with files of its own: remove it first, or choose another name.",
            param="model",
        )
    if there is None and is_full(catalogue):
        raise InvalidInput(
            f"This machine has {MAX_ENTRIES} models and aliases, and that is the most: remove one.",
            param="model",
        )
    created_at = there.created_at if there else now
    if origin.of:
        return replace(origin, name=kept, created_at=created_at, modified_at=now)
    return CatalogueEntry(
        name=kept,
        of=origin.name,
        defaults=origin.defaults,
        template=origin.template,
        license=origin.license,
        created_at=created_at,
        modified_at=now,
    )
