"""A ColIdefics3 folder (ColSmol), as colpali_engine or an MLX conversion writes it, opened."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from mlx_vlm.models.idefics3.config import ModelConfig, TextConfig, VisionConfig
from PIL import Image

from jobs.errors import InvalidInput
from workers.families import multi_vector_of
from workers.runners.checkpoint.architecture import check_config, complete_config
from workers.runners.checkpoint.folder import max_tokens_of, read_json
from workers.runners.checkpoint.weights import fill, renamed_checkpoint
from workers.runners.multi_vector.colidefics import ColIdefics
from workers.runners.multi_vector.mixed_prompts import QUERY_PREFIX, MultiVectorPrompts, PromptTemplate
from workers.runners.multi_vector.model import MultiVectorModel
from workers.runners.vision.checkpoint import normalisation_of, processor_of
from workers.runners.vision.image_tokens import ImageTokens
from workers.runners.vision.normalisation import Normalisation
from workers.runners.vision.tiles import Tiling, cut_to_tiles

PROJECTIONS = multi_vector_of("idefics3").projections

NAMES = (
    (re.compile(r"^(?:model\.)?vision_model\."), "vision."),
    (re.compile(r"^(?:model\.)?connector\."), "connector."),
    (re.compile(r"^(?:model\.)?(?:text_model|language_model)\.(?:model\.)?"), "language."),
    (re.compile(rf"^(?:{'|'.join(PROJECTIONS)})\b"), "projection"),
)
UNUSED = re.compile(r"(^|\.)lm_head\.|rotary_emb\.inv_freq$|position_ids$")

TEMPLATE = PromptTemplate(
    query_prefix=QUERY_PREFIX,
    query_augmentation="<end_of_utterance>" * 10,
    visual_prefix="<|im_start|>User:",
    visual_suffix="<end_of_utterance>\nAssistant:",
    placeholders=("<image>",),
)
HALF = (0.5, 0.5, 0.5)
AROUND, WHOLE = "<fake_token_around_image>", "<global-img>"

REQUIRED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", None),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "rope_scaling": (None,),
}
VISION_REQUIRED: dict[str, tuple[Any, ...]] = {"hidden_act": ("gelu_pytorch_tanh", None)}


def open_colidefics(folder: Path) -> MultiVectorModel:
    """Raises InvalidInput for what would be computed wrongly."""
    config = read_json(folder / "config.json")
    processor = processor_of(folder)
    settings = _settings(config)
    if processor.get("do_image_splitting") is False:
        raise InvalidInput(f"{folder}: a ColIdefics3 that reads no tiles is not supported.", param="model")
    tile = int(
        (processor.get("max_image_size") or {}).get("longest_edge") or settings.vision_config.image_size
    )
    edge = int((processor.get("size") or {}).get("longest_edge") or 4 * tile)
    side = tile // settings.vision_config.patch_size // settings.scale_factor
    limit = max_tokens_of(
        folder, {"max_position_embeddings": settings.text_config.max_position_embeddings}, {}
    )
    tiling = Tiling(min(edge, 4 * tile), tile)
    prompts = MultiVectorPrompts(
        folder / "tokenizer.json",
        TEMPLATE.of_folder(folder),
        partial(idefics_image_tokens, tiling=tiling, side=side),
        max_tokens=limit,
        vocab_size=settings.text_config.vocab_size,
        image_token=settings.image_token_id,
    )
    normalisation = normalisation_of(processor, HALF, HALF)
    network = partial(_network, folder, config, settings, normalisation)
    return MultiVectorModel(prompts, network, limit, image_pixels=tiling.edge**2, image_edge=tiling.edge)


def idefics_image_tokens(image: Image.Image, tiling: Tiling, side: int) -> ImageTokens:
    """An RGB image as ColIdefics3 reads it. side: tokens of a tile's side. Raises InvalidInput."""
    tiles = cut_to_tiles(image, tiling)
    tokens = TEMPLATE.placeholders[0] * (side * side)
    rows = [
        "".join(f"{AROUND}<row_{row + 1}_col_{column + 1}>{tokens}" for column in range(tiles.columns)) + "\n"
        for row in range(tiles.rows)
    ]
    text = "".join(rows) + ("\n" if rows else "") + f"{AROUND}{WHOLE}{tokens}{AROUND}"
    return ImageTokens(text, tiles, side * side * len(tiles.values), side, side)


def _network(
    folder: Path, config: dict[str, Any], settings: ModelConfig, normalisation: Normalisation
) -> ColIdefics:
    weights, quantisation = renamed_checkpoint(folder, config, NAMES, UNUSED)
    if "projection.weight" not in weights:
        raise InvalidInput(f"{folder} has no projection of ColIdefics3.", param="model")
    kernel = weights.get("vision.embeddings.patch_embedding.weight")
    if kernel is not None and kernel.ndim == 4 and kernel.shape[-1] != settings.vision_config.num_channels:
        weights["vision.embeddings.patch_embedding.weight"] = kernel.transpose(0, 2, 3, 1)
    network = ColIdefics(settings, weights["projection.weight"].shape[0], normalisation)
    return fill(network, weights, folder, quantisation)


def _settings(config: dict[str, Any]) -> ModelConfig:
    text = {**(config.get("text_config") or {})}
    vision = {**(config.get("vision_config") or {}), "model_type": "idefics3_vision"}
    rope = text.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        text["rope_scaling"] = rope
    for part, allowed in ((text, REQUIRED), (vision, VISION_REQUIRED)):
        check_config("ColIdefics3", part, allowed)
    text["rope_theta"] = float(rope.get("rope_theta") or text.get("rope_theta") or 10_000.0)  # Llama's own
    with complete_config():
        return ModelConfig(
            text_config=TextConfig.from_dict({"model_type": "llama", **text}),
            vision_config=VisionConfig.from_dict(vision),
            model_type="idefics3",
            scale_factor=int(config.get("scale_factor") or 2),
            image_token_id=int(config["image_token_id"]),
        )
