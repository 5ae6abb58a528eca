"""Other names for models, and models that no worker has opened yet, as the machines' catalogues tell them. Pure."""

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from msgspec.structs import replace

from jobs.catalogue.entry import Catalogue, CatalogueEntry, is_same_name
from jobs.catalogue.names import without_latest
from jobs.machines.machines import MachineInfo
from jobs.models import ModelInfo, check_new_name

_TASKS = {"embedding": "embed", "reranker": "rerank", "llm": "generate", "vlm": "generate"}


def with_catalogues(models: Sequence[ModelInfo], machines: Iterable[MachineInfo]) -> list[ModelInfo]:
    """The models that workers announce, with their defaults, their aliases, and those that are only catalogued.

    Where machines differ in what a name is, the entry that was changed last counts.
    """
    found = {info.id: info for info in models}
    entries = _latest(machines)
    for entry in entries:
        if not entry.is_alias and (info := found.get(entry.name) or _catalogued(entry)):
            found[entry.name] = replace(info, defaults=entry.defaults)
    for entry in entries:
        root = next((info for info in found.values() if is_same_name(info.id, entry.of)), None)
        if entry.is_alias and root is not None and not root.of and entry.name not in found:
            found[entry.name] = replace(
                root,
                id=entry.name,
                of=root.id,
                hub_name="",  # a name of the model means the model itself
                created=int(entry.modified_at),
                defaults=entry.defaults,
            )
    return list(found.values())


def check_new_alias(name: str, catalogue: Catalogue, served: Iterable[str]) -> None:
    """Raises InvalidInput where requests by the name mean a model of this machine already. served: the ids that its
    settings name.
    """

    def info(name: str, of: str = "", hub_name: str = "") -> ModelInfo:
        return ModelInfo(name, "", 0, 0, 0, of=of, hub_name=hub_name)

    models = [info(each) for each in served]
    for entry in catalogue.entries:
        is_hub_name = not entry.of and not entry.quantisation and not PurePath(entry.source).is_absolute()
        models.append(info(entry.name, entry.of, entry.source if is_hub_name else ""))
    check_new_name(without_latest(name), models)


def _latest(machines: Iterable[MachineInfo]) -> list[CatalogueEntry]:
    found: dict[str, CatalogueEntry] = {}
    for machine in machines:
        for entry in machine.entries:
            there = found.get(entry.name.casefold())
            if there is None or there.modified_at < entry.modified_at:
                found[entry.name.casefold()] = entry
    return list(found.values())


def _catalogued(entry: CatalogueEntry) -> ModelInfo | None:
    """Enough to take jobs for it. None where its kind is not known."""
    task = entry.task or _TASKS.get(entry.kind or "")
    if not task:
        return None
    return ModelInfo(
        id=entry.name,
        task=task,
        created=int(entry.modified_at),
        dimensions=0,
        max_tokens=0,
        size_bytes=entry.size_bytes,
        quantisation=entry.quantisation,
    )
