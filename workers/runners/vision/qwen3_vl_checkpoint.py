"""A Qwen3-VL folder, as transformers or an MLX conversion writes it, as the network.

Qwen3-VL-Embedding and Qwen3-VL-Reranker are published in transformers' layout; without its head a model is saved
without `model.`, and mlx-vlm names the parts otherwise.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mlx_vlm.models.qwen3_vl.config import TextConfig, VisionConfig

from jobs.errors import InvalidInput
from workers.runners.checkpoint.architecture import check_config, complete_config
from workers.runners.checkpoint.folder import max_tokens_of, read_json
from workers.runners.checkpoint.weights import fill, head_rows, renamed_checkpoint
from workers.runners.vision.checkpoint import normalisation_of, processor_of, put_channels_last
from workers.runners.vision.normalisation import Normalisation
from workers.runners.vision.patches import Patching
from workers.runners.vision.qwen3_vl import Qwen3VL

NAMES = (
    (re.compile(r"^(?:model\.)?(?:visual|vision_tower)\."), "vision."),
    (re.compile(r"^(?:language_model\.)?lm_head\b"), "lm_head"),
    (
        re.compile(r"^(?:model\.)?(?:language_model\.)?(?:model\.)?(layers|embed_tokens|norm)\b"),
        r"language.\1",
    ),
)
UNUSED = re.compile(r"rotary_emb\.inv_freq$|rotary_pos_emb\.inv_freq$|position_ids$")

HALF = (0.5, 0.5, 0.5)
MIN_BLOCKS, MAX_BLOCKS = 4, 1800
"""Of an image: what the published code of both models scales to, and not what their preprocessor_config.json says."""
MAX_TOKENS = 32_768
"""Both model cards'; the files have that of the model they were made of, 262144."""

TEXT_REQUIRED: dict[str, tuple[Any, ...]] = {"hidden_act": ("silu", None), "attention_bias": (False, None)}
VISION_REQUIRED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("gelu_pytorch_tanh", None),
    "in_channels": (3, None),
}
VISION_DEFAULTS = {
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 2304,
}
"""transformers'; mlx-vlm's are those of another model."""


class Qwen3VLFiles(NamedTuple):
    """What a folder says of its model."""

    folder: Path
    config: dict[str, Any]
    text: TextConfig
    vision: VisionConfig
    image_token: int
    """The id that stands for a token of an image."""
    patching: Patching
    normalisation: Normalisation
    max_tokens: int
    """Of the longest input."""

    @property
    def vocab_size(self) -> int:
        """Rows of the table of embeddings."""
        return self.text.vocab_size

    def network(self, answers: Sequence[int] = ()) -> Qwen3VL:
        """Every weight accounted for; they are read when first used. Raises InvalidInput.

        answers: tokens whose rows of the language model's head become its `score`.
        """
        weights, quantisation = renamed_checkpoint(self.folder, self.config, NAMES, UNUSED)
        put_channels_last(weights, "vision.patch_embed.proj.weight", self.vision.in_channels)
        if answers:
            weights["score.weight"] = head_rows(self._heads, weights, answers, quantisation)
        network = Qwen3VL(self.vision, self.text, self.normalisation, self.image_token, rows=len(answers))
        body = {name: weight for name, weight in weights.items() if not name.startswith("lm_head.")}
        return fill(network, body, self.folder, quantisation)

    @property
    def _heads(self) -> tuple[str, ...]:
        tied = self.config.get("tie_word_embeddings") or self.text.tie_word_embeddings
        return ("lm_head", "language.embed_tokens") if tied else ("lm_head",)


def open_qwen3_vl_files(folder: Path) -> Qwen3VLFiles:
    """Raises InvalidInput for what would be computed wrongly."""
    config = read_json(folder / "config.json")
    text, vision = _text(config), _vision(config)
    if vision.out_hidden_size != text.hidden_size:
        raise InvalidInput(f"{folder}: the vision tower's size is not the language model's.", param="model")
    processor = processor_of(folder)
    limits = {"max_position_embeddings": text.max_position_embeddings}
    limit = max_tokens_of(folder, limits, read_json(folder / "sentence_bert_config.json"))
    normalisation = normalisation_of(processor, HALF, HALF)
    image_token = int(config.get("image_token_id") or 151655)
    patching = _patching(vision, processor)
    return Qwen3VLFiles(
        folder, config, text, vision, image_token, patching, normalisation, max_tokens=min(limit, MAX_TOKENS)
    )


def _text(config: dict[str, Any]) -> TextConfig:
    text = {**(config.get("text_config") or {})}
    check_config("Qwen3-VL", text, TEXT_REQUIRED)
    rope = {**(text.get("rope_scaling") or {}), **(text.get("rope_parameters") or {})}
    kind = rope.get("type") or rope.get("rope_type") or "default"
    section = rope.get("mrope_section")
    if not section or kind not in ("mrope", "default") or not rope.get("mrope_interleaved", True):
        raise InvalidInput(
            f"This Qwen3-VL has rotary positions of {rope}, which are not supported.", param="model"
        )
    text["rope_scaling"] = {"type": "default", "mrope_section": section}
    text["rope_theta"] = float(rope.get("rope_theta") or text.get("rope_theta") or 5e5)  # transformers' own
    text["tie_word_embeddings"] = bool(text.get("tie_word_embeddings"))
    with complete_config():
        return TextConfig.from_dict({**text, "model_type": "qwen3_vl_text"})


def _vision(config: dict[str, Any]) -> VisionConfig:
    vision = {**VISION_DEFAULTS, **(config.get("vision_config") or {})}
    check_config("Qwen3-VL", vision, VISION_REQUIRED)
    needed = (
        "depth",
        "hidden_size",
        "intermediate_size",
        "num_heads",
        "out_hidden_size",
        "deepstack_visual_indexes",
    )
    if missing := [name for name in needed if vision.get(name) is None]:
        raise InvalidInput(
            f"The model's config.json is incomplete: vision_config lacks {', '.join(missing)}.", param="model"
        )
    return VisionConfig.from_dict({**vision, "model_type": "qwen3_vl"})


def _patching(vision: VisionConfig, processor: dict[str, Any]) -> Patching:
    """The processor's file may lower the most pixels. Its fewest pixels are ignored, as in the published code."""
    size = processor.get("size") or {}
    block = (vision.patch_size * vision.spatial_merge_size) ** 2
    least, most = MIN_BLOCKS * block, MAX_BLOCKS * block
    named = int(processor.get("max_pixels") or size.get("longest_edge") or most)
    return Patching(
        vision.patch_size,
        vision.spatial_merge_size,
        least,
        max(least, min(named, most)),
        whole_blocks=True,
    )
