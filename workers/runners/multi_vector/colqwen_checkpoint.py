"""A ColQwen2.5 folder, whoever wrote it, as the network.

colpali_engine writes Qwen2.5-VL's names and a `custom_text_proj`; transformers' ColQwen2ForRetrieval and mlx-embeddings
put all under `vlm` and call it `embedding_proj_layer`; mlx-vlm and older transformers name the parts otherwise.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mlx_vlm.models.qwen2_5_vl.config import TextConfig, VisionConfig

from jobs.errors import InvalidInput
from workers.families import multi_vector_of
from workers.runners.checkpoint.architecture import check_config, complete_config
from workers.runners.checkpoint.folder import max_tokens_of, read_json
from workers.runners.checkpoint.weights import fill, renamed_checkpoint
from workers.runners.multi_vector.colqwen import ColQwen
from workers.runners.multi_vector.mixed_prompts import QUERY_PREFIX, MultiVectorPrompts, PromptTemplate
from workers.runners.multi_vector.model import MultiVectorModel
from workers.runners.vision.checkpoint import normalisation_of, processor_of, put_channels_last
from workers.runners.vision.image_tokens import QWEN_PLACEHOLDERS, qwen_image_tokens
from workers.runners.vision.normalisation import Normalisation
from workers.runners.vision.patches import MAX_PIXELS, Patching

PROJECTIONS = multi_vector_of("qwen2_5_vl").projections

NAMES = (
    (re.compile(r"^(?:vlm\.)?(?:model\.)?(?:visual|vision_tower)\."), "vision."),
    (
        re.compile(r"^(?:vlm\.)?(?:model\.)?(?:language_model\.)?(?:model\.)?(layers|embed_tokens|norm)\b"),
        r"language.\1",
    ),
    (re.compile(rf"^(?:{'|'.join(PROJECTIONS)})\b"), "projection"),
)
UNUSED = re.compile(r"(^|\.)lm_head\.|rotary_emb\.inv_freq$")

TEMPLATE = PromptTemplate(
    query_prefix=QUERY_PREFIX,
    query_augmentation="<|endoftext|>" * 10,
    visual_prefix="<|im_start|>user\n",
    visual_suffix="<|im_end|><|endoftext|>",
    placeholders=QWEN_PLACEHOLDERS,
)

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
MIN_PIXELS = 56 * 56

REQUIRED: dict[str, tuple[Any, ...]] = {"hidden_act": ("silu", None), "use_sliding_window": (False, None)}


class ColQwenFiles(NamedTuple):
    """What a folder says of its model."""

    folder: Path
    config: dict[str, Any]
    text: TextConfig
    vision: VisionConfig
    image_token: int
    """The id that stands for a token of an image."""
    patching: Patching
    normalisation: Normalisation

    def network(self) -> ColQwen:
        """Every weight accounted for; they are read when first used. Raises InvalidInput."""
        weights, quantisation = renamed_checkpoint(self.folder, self.config, NAMES, UNUSED)
        if "projection.weight" not in weights:
            raise InvalidInput(f"{self.folder} has no projection of ColQwen2.5.", param="model")
        put_channels_last(weights, "vision.patch_embed.proj.weight", self.vision.in_channels)
        network = ColQwen(
            self.vision,
            self.text,
            weights["projection.weight"].shape[0],
            self.normalisation,
            self.image_token,
        )
        return fill(network, weights, self.folder, quantisation)


def open_colqwen(folder: Path) -> MultiVectorModel:
    """Raises InvalidInput."""
    files = _read_files(folder)
    limit = max_tokens_of(
        folder, {"max_position_embeddings": files.text.max_position_embeddings or 32_768}, {}
    )
    prompts = MultiVectorPrompts(
        folder / "tokenizer.json",
        TEMPLATE.of_folder(folder),
        partial(qwen_image_tokens, patching=files.patching),
        max_tokens=limit,
        vocab_size=files.text.vocab_size,
        image_token=files.image_token,
    )
    return MultiVectorModel(
        prompts,
        files.network,
        limit,
        image_pixels=files.patching.max_pixels,
        image_multiple=files.patching.block,
    )


def _read_files(folder: Path) -> ColQwenFiles:
    """Raises InvalidInput for what would be computed wrongly."""
    config = read_json(folder / "config.json")
    whole = config.get("vlm_config") or config
    written = whole.get("vision_config") or {}
    vision = VisionConfig.from_dict(
        {**written, "model_type": "qwen2_5_vl", "in_channels": _channels(written)}
    )
    text = _text(whole)
    if vision.out_hidden_size != text.hidden_size:
        raise InvalidInput(f"{folder}: the vision tower's size is not the language model's.", param="model")
    processor = processor_of(folder)
    return ColQwenFiles(
        folder,
        config,
        text,
        vision,
        int(whole.get("image_token_id") or 151655),
        _patching(vision, processor),
        normalisation_of(processor, CLIP_MEAN, CLIP_STD),
    )


def _text(whole: dict[str, Any]) -> TextConfig:
    text = {**whole, **(whole.get("text_config") or {})}
    check_config("ColQwen2.5", text, REQUIRED)
    rope = {**(text.get("rope_scaling") or {}), **(text.get("rope_parameters") or {})}
    kind = rope.get("type") or rope.get("rope_type")
    if "mrope_section" not in rope or kind not in ("mrope", "default"):
        raise InvalidInput(
            f"This ColQwen2.5 has rotary positions of {rope}, which are not supported.", param="model"
        )
    text["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    text["rope_theta"] = float(rope.get("rope_theta") or text.get("rope_theta") or 1e6)
    with complete_config():
        return TextConfig.from_dict({**text, "model_type": "qwen2_5_vl"})


def _channels(vision: dict[str, Any]) -> int:
    return int(vision.get("in_channels") or vision.get("in_chans") or 3)


def _patching(vision: VisionConfig, processor: dict[str, Any]) -> Patching:
    size = processor.get("size") or {}
    least = processor.get("min_pixels") or size.get("shortest_edge") or MIN_PIXELS
    most = processor.get("max_pixels") or size.get("longest_edge") or MAX_PIXELS
    return Patching(vision.patch_size, vision.spatial_merge_size, int(least), min(int(most), MAX_PIXELS))
