"""Open the runner that a model needs."""

import importlib.util
from typing import TYPE_CHECKING

import msgspec

from jobs.errors import InvalidInput
from jobs.settings import Settings
from workers.models.detect import (
    PAGE_EMBED_TYPES,
    config_of,
    embeds,
    reranks,
    sees,
    type_of,
    unknown_type,
)
from workers.models.resolve import LocalModel, resolve
from workers.runners.contract import Runner, loaded
from workers.runners.multi_vector.family import Family, family_of

if TYPE_CHECKING:
    from workers.runners.embed.mixed_runner import PageEmbedRunner
    from workers.runners.embed.runner import EmbedRunner
    from workers.runners.generate.runner import GenerateRunner
    from workers.runners.multi_vector.runner import MultiVectorRunner
    from workers.runners.rerank.runner import RerankRunner

ALONE = "is an embedding model: it has no adapter and no draft"


def open_runner(spec: str, settings: Settings) -> Runner:
    """The model that `spec` names (see resolve), its weights not read yet.

    Raises UnknownModel, or InvalidInput for what cannot be run.
    """
    model = resolve(spec)
    runner = open_model(model, settings)
    runner.info = msgspec.structs.replace(runner.info, hub_name=model.hub_name)
    return runner


def open_model(model: LocalModel, settings: Settings) -> Runner:
    """Its weights not read yet. Raises InvalidInput for what cannot be run."""
    model_type = type_of(model)
    if reranks(model):
        if model.task == "embed":
            raise InvalidInput(f"{model.id} is a reranker, and makes no vectors.", param="model")
        return open_reranker(model)
    if family := family_of(model.folder, config_of(model)):
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
    if writes_with_pictures(model, model_type):
        from workers.runners.generate.vision.runner import VisionRunner

        return VisionRunner
    from workers.runners.generate.runner import GenerateRunner

    return GenerateRunner


def writes_with_pictures(model: LocalModel, model_type: str) -> bool:
    """Whether mlx-vlm is to run a model that writes text, rather than mlx-lm. Raises InvalidInput where neither can."""
    writes = importlib.util.find_spec(f"mlx_lm.models.{model_type}") is not None
    if sees(model) or not writes:
        from mlx_vlm.utils import get_model_type  # imports much that a text model does without

        if importlib.util.find_spec(f"mlx_vlm.models.{get_model_type(config_of(model))}"):
            return True
    if not writes:
        raise unknown_type(model, model_type)
    return False


def open_embedder(model: LocalModel) -> "EmbedRunner":
    """Of texts. Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.embed.runner import EmbedRunner  # imports MLX

    _check_alone(model, ALONE)
    return EmbedRunner(model.id, model.folder)


def open_page_embedder(model: LocalModel) -> "PageEmbedRunner":
    """Of texts and pictures. Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.embed.mixed_runner import PageEmbedRunner  # imports MLX

    _check_alone(model, ALONE)
    return PageEmbedRunner(model.id, model.folder)


def open_generator_as_embedder(model: LocalModel, model_type: str) -> "EmbedRunner":
    """A model that writes text, for the mean of its hidden states. Raises InvalidInput for what cannot be run."""
    from workers.runners.embed.runner import EmbedRunner  # imports MLX

    if model.draft:
        raise InvalidInput(f"{model.id} is to embed, and a draft can only write.", param="model")
    if not writes_with_pictures(model, model_type):
        from workers.runners.embed.text_generators import open_generator

        return EmbedRunner(model.id, model.folder, open_generator(model.folder, model.adapter))
    from workers.runners.embed.vision_generators import SeeingEmbedRunner, open_seeing_generator

    if model.adapter:
        raise InvalidInput(f"{model.id} is a vision model, which cannot have an adapter.", param="model")
    return SeeingEmbedRunner(model.id, model.folder, open_seeing_generator(model.folder))


def open_multi_vector(model: LocalModel, family: Family) -> "MultiVectorRunner":
    """Its weights are not read yet. Raises InvalidInput for what cannot be run."""
    from workers.runners.multi_vector.runner import MultiVectorRunner  # imports MLX

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
