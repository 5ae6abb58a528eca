"""What MLXQ_MODELS says, without looking for the models: each entry is MODEL or ALIAS=MODEL, then ,KEY=VALUE parts."""

from collections.abc import Sequence
from pathlib import Path

DEFAULT_MODELS = ("all-MiniLM-L6-v2",)
"""Where it is not set."""


def sources_of(specs: Sequence[str]) -> dict[str, str]:
    """The names that requests use, and for each what it stands for: a folder's absolute path, or a hub name."""
    found = dict[str, str]()
    for spec in specs:
        name, source = _parts(spec)
        folder = _folder(source)
        found[name or (folder.name if folder else source)] = _absolute(source)
    return found


def needed_by(specs: Sequence[str]) -> frozenset[str]:
    """Folders' absolute paths and hub names: of models, adapters and drafts."""
    needed = set[str]()
    for spec in specs:
        needed.add(_absolute(_parts(spec)[1]))
        for part in spec.split(",")[1:]:
            key, _, value = part.partition("=")
            if key in ("adapter", "draft") and value:
                needed.add(_absolute(value))
    return frozenset(needed)


def _parts(spec: str) -> tuple[str, str]:
    """The alias, or nothing, and what it stands for."""
    if Path(spec).is_dir():
        return "", spec
    model = spec.partition(",")[0]
    alias, equals, source = model.partition("=")
    return (alias, source) if equals and not Path(model).is_dir() else ("", model)


def _absolute(source: str) -> str:
    return str(_folder(source) or source)


def _folder(source: str) -> Path | None:
    """None: it is a name on the hub."""
    folder = Path(source).expanduser()
    return folder.resolve() if folder.is_dir() or source.startswith((".", "/", "~")) else None
