"""Open the runner that a model needs. MLX is imported by the runners alone, and so when the first one is opened."""

import importlib.util
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from jobs.errors import InvalidInput
from jobs.settings import Settings
from workers.families import TEXT_RERANKER, MultiVector, embedding_of, family_of
from workers.models.describe import described, details_of
from workers.models.detect import (
    config_of,
    embeds,
    has_vision,
    multi_vector_of,
    reranks,
    type_of,
    unknown_type,
)
from workers.models.digest import digest_of
from workers.models.resolve import LocalModel, resolve
from workers.runners.contract import BatchRunner, Runner, loaded

if TYPE_CHECKING:
    from workers.runners.embed.runner import EmbedRunner
    from workers.runners.generate.runner import GenerateRunner
    from workers.runners.multi_vector.runner import MultiVectorRunner
    from workers.runners.rerank.runner import RerankRunner


def open_runner(spec: str, settings: Settings) -> Runner:
    """The model that `spec` names (see resolve), its weights not read yet.

    Raises UnknownModel, or InvalidInput for what cannot be run.
    """
    return open_local(resolve(spec), settings)


def open_local(model: LocalModel, settings: Settings) -> Runner:
    """A model of this machine, its weights not read yet. Raises InvalidInput for what cannot be run."""
    runner = open_model(model, settings)
    info = msgspec.structs.replace(runner.info, hub_name=model.hub_name, digest=digest_of(model))
    runner.info, runner.details = described(info, model), details_of(model)
    return runner


def load_runner(spec: str, settings: Settings) -> Runner:
    """As open_runner, with its weights. Raises what that does, and InvalidInput for unsound weights."""
    return loaded(open_runner(spec, settings))


def open_model(model: LocalModel, settings: Settings) -> Runner:
    """Its weights not read yet. Raises InvalidInput for what cannot be run."""
    model_type = type_of(model)
    if reranks(model):
        if model.task == "embed":
            raise InvalidInput(f"{model.id} is a reranker, and makes no vectors.", param="model")
        return open_reranker(model)
    if multi_vector := multi_vector_of(model.folder, config_of(model)):
        return open_multi_vector(model, multi_vector)
    if embeds(model, model_type):
        return open_embedder(model)
    if model.task == "embed":
        return open_generator_as_embedder(model, model_type)
    return open_generator(model, model_type, settings)


def open_embedder(model: LocalModel) -> BatchRunner:
    """Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    _check_alone(model, "is an embedding model: it has no adapter and no draft")
    embedding = embedding_of(type_of(model))
    if embedding is None:
        raise unknown_type(model, type_of(model))
    return imported(embedding.opener)(model.id, model.folder)


def open_multi_vector(model: LocalModel, family: MultiVector) -> "MultiVectorRunner":
    """Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.multi_vector.runner import MultiVectorRunner

    _check_alone(model, "makes vectors: it has no draft, and an adapter must be merged into it")
    return MultiVectorRunner(model.id, model.folder, imported(family.opener)(model.folder))


def open_reranker(model: LocalModel) -> "RerankRunner":
    """Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.rerank.runner import RerankRunner

    _check_alone(model, "is a reranker: it has no adapter and no draft")
    config = config_of(model)
    family = family_of(config.get("model_type"))
    # The opener of texts refuses other types, and names those that are served.
    opener = family.reranking.opener if family and family.reranking else TEXT_RERANKER
    return RerankRunner(model.id, model.folder, imported(opener)(model.folder, config))


def open_generator_as_embedder(model: LocalModel, model_type: str) -> "EmbedRunner":
    """A model that writes text, for the mean of its hidden states. Raises InvalidInput for what cannot be run."""
    from workers.runners.embed.runner import EmbedRunner

    if model.draft:
        raise InvalidInput(f"{model.id} is to embed, and a draft can only write.", param="model")
    if not runs_on_mlx_vlm(model, model_type):
        from workers.runners.embed.text_generators import open_text_generator

        return EmbedRunner(model.id, model.folder, open_text_generator(model.folder, model.adapter))
    from workers.runners.embed.vision_generators import VisionEmbedRunner, open_vision_generator

    if model.adapter:
        raise InvalidInput(f"{model.id} is a vision model, which cannot have an adapter.", param="model")
    return VisionEmbedRunner(model.id, model.folder, open_vision_generator(model.folder))


def open_generator(model: LocalModel, model_type: str, settings: Settings) -> "GenerateRunner":
    """Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.generate.runner import ModelFiles

    return generator_class(model, model_type)(
        model.id,
        ModelFiles(model.folder, model.adapter, model.draft),
        slots=settings.max_answers,
        prefix_cache_bytes=settings.prefix_cache_bytes,
    )


def generator_class(model: LocalModel, model_type: str) -> "type[GenerateRunner]":
    """The runner of a model that writes text. Raises InvalidInput where there is none."""
    if runs_on_mlx_vlm(model, model_type):
        from workers.runners.generate.vision.runner import VisionRunner

        return VisionRunner
    from workers.runners.generate.runner import GenerateRunner

    return GenerateRunner


def runs_on_mlx_vlm(model: LocalModel, model_type: str) -> bool:
    """Whether mlx-vlm is to run a model that writes text, rather than mlx-lm. Raises InvalidInput where neither can."""
    known_to_mlx_lm = importlib.util.find_spec(f"mlx_lm.models.{model_type}") is not None
    if has_vision(model) or not known_to_mlx_lm:
        from mlx_vlm.utils import get_model_type  # imports much that a text model does without

        if importlib.util.find_spec(f"mlx_vlm.models.{get_model_type(config_of(model))}"):
            return True
    if not known_to_mlx_lm:
        raise unknown_type(model, model_type)
    return False


def imported(opener: str) -> Any:
    """The function that a row of the families table names as "module:function"."""
    module, _, function = opener.partition(":")
    return getattr(import_module(module), function)


def _check_alone(model: LocalModel, why: str) -> None:
    """Raises InvalidInput for a model that was given an adapter or a draft, and can have neither."""
    if model.adapter or model.draft:
        raise InvalidInput(f"{model.id} {why}.", param="model")
