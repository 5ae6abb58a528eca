"""A ColIdefics3 folder (ColSmol), as colpali_engine or an MLX conversion writes it, opened."""

import re
from functools import partial
from pathlib import Path
from typing import Any

from mlx_vlm.models.idefics3.config import ModelConfig, TextConfig, VisionConfig
from PIL import Image

from jobs.errors import InvalidInput
from workers.runners.checkpoint.architecture import check_config
from workers.runners.checkpoint.folder import max_tokens_of, read_json
from workers.runners.checkpoint.weights import fill, read_weights, renamed
from workers.runners.multi_vector.colidefics import ColIdefics
from workers.runners.multi_vector.family import COLIDEFICS_PROJECTIONS
from workers.runners.multi_vector.mixed_prompts import QUERY_PREFIX, PagePrompts, Words
from workers.runners.multi_vector.model import LateModel, query_prefix
from workers.runners.vision.checkpoint import processor_of
from workers.runners.vision.image_tokens import Look
from workers.runners.vision.pixels import Pixels
from workers.runners.vision.tiles import Tiling, cut_to_tiles

NAMES = (
    (re.compile(r"^(?:model\.)?vision_model\."), "vision."),
    (re.compile(r"^(?:model\.)?connector\."), "connector."),
    (re.compile(r"^(?:model\.)?(?:text_model|language_model)\.(?:model\.)?"), "language."),
    (re.compile(rf"^(?:{'|'.join(COLIDEFICS_PROJECTIONS)})\b"), "projection"),
)
UNUSED = re.compile(r"(^|\.)lm_head\.|rotary_emb\.inv_freq$|position_ids$")

WORDS = Words(
    query_prefix=QUERY_PREFIX,
    augmentation="<end_of_utterance>" * 10,
    page_before="<|im_start|>User:",
    page_after="<end_of_utterance>\nAssistant:",
    marks=("<image>",),
)
AROUND, WHOLE = "<fake_token_around_image>", "<global-img>"

REQUIRED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("silu", None),
    "attention_bias": (False, None),
    "mlp_bias": (False, None),
    "rope_scaling": (None,),
}
SEEING: dict[str, tuple[Any, ...]] = {"hidden_act": ("gelu_pytorch_tanh", None)}


def open_colidefics(folder: Path) -> LateModel:
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
    prompts = PagePrompts(
        folder / "tokenizer.json",
        WORDS._replace(query_prefix=query_prefix(folder, WORDS.query_prefix)),
        partial(look, tiling=Tiling(min(edge, 4 * tile), tile), side=side),
        max_tokens=limit,
        vocab_size=settings.text_config.vocab_size,
        image_token=settings.image_token_id,
    )
    half = (0.5, 0.5, 0.5)
    pixels = Pixels(tuple(processor.get("image_mean") or half), tuple(processor.get("image_std") or half))
    return LateModel(prompts, partial(_network, folder, config, settings, pixels), limit)


def look(picture: Image.Image, tiling: Tiling, side: int) -> Look:
    """An RGB picture as ColIdefics3 reads it. side: tokens of a tile's side. Raises InvalidInput."""
    tiles = cut_to_tiles(picture, tiling)
    tokens = WORDS.marks[0] * (side * side)
    rows = [
        "".join(f"{AROUND}<row_{row + 1}_col_{column + 1}>{tokens}" for column in range(tiles.columns)) + "\n"
        for row in range(tiles.rows)
    ]
    text = "".join(rows) + ("\n" if rows else "") + f"{AROUND}{WHOLE}{tokens}{AROUND}"
    return Look(text, tiles, side * side * len(tiles.values), side, side)


def _network(folder: Path, config: dict[str, Any], settings: ModelConfig, pixels: Pixels) -> ColIdefics:
    weights = renamed(read_weights(folder), NAMES, UNUSED)
    if "projection.weight" not in weights:
        raise InvalidInput(f"{folder} has no projection of ColIdefics3.", param="model")
    kernel = weights.get("vision.embeddings.patch_embedding.weight")
    if kernel is not None and kernel.ndim == 4 and kernel.shape[-1] != settings.vision_config.num_channels:
        weights["vision.embeddings.patch_embedding.weight"] = kernel.transpose(0, 2, 3, 1)
    network = ColIdefics(settings, weights["projection.weight"].shape[0], pixels)
    quantisation = renamed(config.get("quantization") or {}, NAMES, UNUSED)
    return fill(network, weights, folder, quantisation)


def _settings(config: dict[str, Any]) -> ModelConfig:
    text = {**(config.get("text_config") or {})}
    vision = {**(config.get("vision_config") or {}), "model_type": "idefics3_vision"}
    rope = text.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default":
        text["rope_scaling"] = rope
    for part, allowed in ((text, REQUIRED), (vision, SEEING)):
        check_config("ColIdefics3", part, allowed)
    text["rope_theta"] = float(rope.get("rope_theta") or text.get("rope_theta") or 10_000.0)  # Llama's own
    try:
        return ModelConfig(
            text_config=TextConfig.from_dict({"model_type": "llama", **text}),
            vision_config=VisionConfig.from_dict(vision),
            model_type="idefics3",
            scale_factor=int(config.get("scale_factor") or 2),
            image_token_id=int(config["image_token_id"]),
        )
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"The model's config.json is incomplete: {error}.", param="model") from error
