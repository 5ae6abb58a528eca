"""The families table: what is known of a model by its config.json's `model_type`.

A family of embedders or rerankers is one row of FAMILIES, which names the function that opens its models. To add one,
add its row. An encoder of texts then needs its class in workers.runners.layers.text_encoders and, where mlx-vlm reads
other names than its config.json has, a function in workers.runners.checkpoint.architecture. Any other network is a
module of its own, beside the one that a similar row names.

workers.models.detect decides which of a row's tasks a folder is for. A type without a row is a text generator, if
mlx-lm or mlx-vlm knows it. This module imports nothing of ours, so that a process without MLX reads the table, too;
openers are named as "module:function".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Required = Mapping[str, tuple[Any, ...]]
"""The values that a key of config.json may have; the first one is its value where the file does not name it."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """One vector for each input. The folder's sentence-transformers files come before all that is said here."""

    opener: str
    """Called with a model's id and folder; returns its runner."""
    pooling: str = "mean"
    names_no_pooling: bool = False
    """Whether published folders name no pooling, so that one that does not is worth no warning."""
    instruction_frame: tuple[str, str] | None = None
    """What goes before and after an instruction; None where the folder's prompts decide."""
    min_dimensions: int | None = None
    """Smallest Matryoshka cut, by the model card; None where vectors cannot be cut."""


@dataclass(frozen=True, slots=True)
class MultiVector:
    """A vector for each token or patch. Such models are made of others, and often keep their model_type."""

    opener: str
    """Called with a model's folder; returns a workers.runners.multi_vector.model.MultiVectorModel."""
    projections: tuple[str, ...]
    """Names, in the weights, of the layer that the model it is made of lacks."""
    own_type: str | None = None
    """A model_type that only these models have."""
    architecture: str | None = None
    """An architecture that only these models name."""
    wrapper_type: str | None = None
    """A model_type whose `vlm_config` holds the row's own."""
    projection_folder: str | None = None
    """Where sentence-transformers keeps the same layer."""


@dataclass(frozen=True, slots=True)
class Reranking:
    """A score for a query and a document."""

    opener: str
    """Called with a model's folder and config; returns a workers.runners.rerank.model.RerankModel."""
    is_classifier: bool
    """Whether it is a classifier of one label; otherwise it answers yes or no."""
    has_token_types: bool = False
    """Whether the model may have embeddings that tell the query's tokens from the document's."""


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of a model_type."""

    model_type: str
    embedding: Embedding | None = None
    multi_vector: MultiVector | None = None
    reranking: Reranking | None = None
    generates: bool = False
    """Whether text generators have the same type: a folder must then be marked as an embedding model."""
    required: Required = field(default_factory=dict[str, tuple[Any, ...]])
    """What a text encoder's config.json must say, because nothing else is computed rightly."""
    positions_after_padding: bool = False
    """Whether positions are counted from the one after the padding token's id."""


TEXT_EMBEDDER = "workers.runners.embed.runner:EmbedRunner"
MIXED_EMBEDDER = "workers.runners.embed.mixed_runner:MixedEmbedRunner"
TEXT_RERANKER = "workers.runners.rerank.text_model:open_text_reranker"
MIXED_RERANKER = "workers.runners.rerank.mixed_model:open_mixed_reranker"

FAMILIES = (
    Family(
        "bert",
        embedding=Embedding(TEXT_EMBEDDER),
        reranking=Reranking(TEXT_RERANKER, is_classifier=True, has_token_types=True),
        required={"hidden_act": ("gelu",), "position_embedding_type": ("absolute", None)},
    ),
    Family(
        "xlm-roberta",
        embedding=Embedding(TEXT_EMBEDDER),
        reranking=Reranking(TEXT_RERANKER, is_classifier=True),
        required={"hidden_act": ("gelu",), "position_embedding_type": ("absolute", None)},
        positions_after_padding=True,
    ),
    Family(
        "modernbert",
        embedding=Embedding(TEXT_EMBEDDER),
        reranking=Reranking(TEXT_RERANKER, is_classifier=True),
        required={"hidden_activation": ("gelu",)},
    ),
    Family(  # Qwen3-Embedding, Qwen3-Reranker
        "qwen3",
        embedding=Embedding(
            TEXT_EMBEDDER,
            pooling="lasttoken",
            instruction_frame=("Instruct: ", "\nQuery:"),
            min_dimensions=32,
        ),
        reranking=Reranking(TEXT_RERANKER, is_classifier=False),
        generates=True,
        required={
            "hidden_act": ("silu",),
            "attention_bias": (False, None),
            "use_sliding_window": (False, None),
        },
    ),
    Family(  # EmbeddingGemma
        "gemma3_text",
        embedding=Embedding(
            TEXT_EMBEDDER, instruction_frame=("task: ", " | query: "), min_dimensions=128
        ),  # by its card 768, and 512, 256, 128
        generates=True,
        required={
            "hidden_activation": ("gelu_pytorch_tanh",),
            "use_bidirectional_attention": (False, True),
            "attention_bias": (False, None),
            "attn_logit_softcapping": (None,),
        },
    ),
    Family(  # Qwen3-VL-Embedding, Qwen3-VL-Reranker
        "qwen3_vl",
        embedding=Embedding(MIXED_EMBEDDER, pooling="lasttoken", names_no_pooling=True, min_dimensions=64),
        reranking=Reranking(MIXED_RERANKER, is_classifier=False),
        generates=True,
    ),
    Family(  # mlx-vlm's name of Qwen3-VL-Embedding
        "qwen3_vl_embedding",
        embedding=Embedding(MIXED_EMBEDDER, pooling="lasttoken", names_no_pooling=True, min_dimensions=64),
    ),
    Family(  # ColQwen2.5; colqwen2 is transformers' class for ColQwen2 and ColQwen2.5 alike
        "qwen2_5_vl",
        multi_vector=MultiVector(
            "workers.runners.multi_vector.colqwen_checkpoint:open_colqwen",
            projections=("custom_text_proj", "embedding_proj_layer"),
            own_type="colqwen2_5",
            architecture="ColQwen2_5",
            wrapper_type="colqwen2",
        ),
        generates=True,
    ),
    Family(  # ColIdefics3 (ColSmol)
        "idefics3",
        multi_vector=MultiVector(
            "workers.runners.multi_vector.colidefics_checkpoint:open_colidefics",
            projections=("linear",),
            own_type="colidefics3",
            architecture="ColIdefics3",
        ),
        generates=True,
    ),
    Family(  # LFM2-ColBERT: conversions have the projection among the weights, PyLate in a folder of its own
        "lfm2",
        multi_vector=MultiVector(
            "workers.runners.multi_vector.lfm2_checkpoint:open_lfm2",
            projections=("model.1_Dense.linear", "1_Dense.linear", "dense.0", "dense", "projection"),
            projection_folder="1_Dense",
        ),
        generates=True,
    ),
)

BY_TYPE = {family.model_type: family for family in FAMILIES}

EMBEDDER_TYPES = tuple(family.model_type for family in FAMILIES if family.embedding)
ENCODER_TYPES = tuple(family.model_type for family in FAMILIES if family.required)
"""Types whose folders are opened as an encoder of texts."""
CLASSIFIER_TYPES = tuple(
    family.model_type for family in FAMILIES if family.reranking and family.reranking.is_classifier
)

MROPE_TYPES = frozenset(
    {
        "qwen2_vl",
        "qwen2_5_vl",
        "qwen3_vl",
        "qwen3_vl_moe",
        "qwen3_5",
        "qwen3_5_moe",
        "glm4v",
        "glm4v_moe",
        "glm_ocr",
        "paddleocr_vl",
    }
)
"""Vision generators with M-RoPE whose language part takes position_ids (3, rows, tokens) as given, and keeps what it
reads in a cache only.
"""

TEXT_ONLY_EMBEDDERS = frozenset({"gemma3", "paligemma", "moondream2", "moondream3", "falcon_ocr"})
"""Vision generators that embed texts and no images: mlx-vlm (0.7.10) masks an input with images itself, and for Gemma 3
otherwise than in training: words see those after them, and windows are left out.
"""


def family_of(model_type: Any) -> Family | None:
    """The row of a config.json's model_type; None for a generator's, or an unknown one."""
    return BY_TYPE.get(model_type)


def multi_vector_of(model_type: str) -> MultiVector:
    """Of a type that has multi-vector models."""
    family = BY_TYPE[model_type]
    assert family.multi_vector is not None, model_type
    return family.multi_vector


def embedding_of(model_type: Any) -> Embedding | None:
    """How models of the type embed; None for those of another task."""
    family = BY_TYPE.get(model_type)
    return family and family.embedding
