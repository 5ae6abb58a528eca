"""What a model's files say about pooling, prompts, limits and Matryoshka cuts."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import InvalidInput
from workers.runners.checkpoint.architecture import library_config
from workers.runners.embed.recipe import Recipe, read_recipe

BERT = {"model_type": "bert", "max_position_embeddings": 512, "hidden_size": 32}


def read(folder: Path, config: dict[str, Any], files: dict[str, Any]) -> Recipe:
    for name, value in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(value))
    return read_recipe(folder, config)


def modules(*kinds: str) -> list[dict[str, str]]:
    return [
        {"path": f"{i}_{kind}" if i else "", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize("mode", ["cls_token", "mean_tokens", "max_tokens", "lasttoken"])
def test_old_and_new_spellings_of_pooling_mean_the_same(tmp_path: Path, mode: str):
    old = read(tmp_path, BERT, {"1_Pooling/config.json": {f"pooling_mode_{mode}": True}})
    new = read(tmp_path, BERT, {"1_Pooling/config.json": {"pooling_mode": old.pooling}})
    assert old.pooling == new.pooling == mode.removesuffix("_tokens").removesuffix("_token")


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_weightedmean_tokens": True},
        {"pooling_mode_mean_sqrt_len_tokens": True},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
        {"pooling_mode": ["cls", "mean"]},
        {"pooling_mode": "attention"},
        {"pooling_mode_mean_tokens": True, "include_prompt": False},
    ],
)
def test_pooling_that_is_not_supported_is_refused_at_load(tmp_path: Path, pooling: dict[str, Any]):
    with pytest.raises(InvalidInput, match="is not supported"):
        read(tmp_path, BERT, {"1_Pooling/config.json": pooling})


@pytest.mark.parametrize(
    "kinds",
    [("Transformer", "Dense", "Pooling"), ("Transformer", "Pooling", "LayerNorm"), ("StaticEmbedding",)],
)
def test_modules_that_are_not_supported_are_refused_at_load(tmp_path: Path, kinds: tuple[str, ...]):
    with pytest.raises(InvalidInput, match=r"modules\.json"):
        read(tmp_path, BERT, {"modules.json": modules(*kinds)})


def test_dense_modules_come_in_their_order(tmp_path: Path):
    listing = modules("Transformer", "Pooling", "Dense", "Dense", "Normalize")
    recipe = read(tmp_path, BERT, {"modules.json": listing})
    assert recipe.dense == (tmp_path / "2_Dense", tmp_path / "3_Dense")


@pytest.mark.parametrize(
    ("config", "files", "limit"),
    [
        (BERT, {}, 512),
        (BERT, {"sentence_bert_config.json": {"max_seq_length": 256}}, 256),
        (BERT, {"sentence_bert_config.json": {"max_seq_length": 1024}}, 512),
        (BERT, {"sentence_bert_config.json": {"max_seq_length": None}}, 512),
        (BERT, {"tokenizer_config.json": {"model_max_length": 128}}, 128),
        (BERT, {"tokenizer_config.json": {"model_max_length": int(1e30)}}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, {}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 8194, "pad_token_id": 1}, {}, 8192),
    ],
)
def test_limit_is_the_least_that_any_part_allows(tmp_path: Path, config: Any, files: Any, limit: int):
    assert read(tmp_path, config, files).max_tokens == limit


@pytest.mark.parametrize(
    ("config", "sentence", "least", "cuts"),
    [
        ({}, {}, None, ()),
        ({"matryoshka_dimensions": [64, 32]}, {}, 32, (32, 64)),
        ({"is_matryoshka": True}, {}, 1, ()),
        ({}, {"truncate_dim": 16}, 16, ()),
        ({"model_type": "qwen3"}, {}, None, ()),
        ({"model_type": "gemma3_text"}, {}, 128, ()),
    ],
)
def test_only_models_that_declare_it_may_be_cut(
    tmp_path: Path, config: Any, sentence: Any, least: Any, cuts: Any
):
    recipe = read(tmp_path, {**BERT, **config}, {"config_sentence_transformers.json": sentence})
    assert (recipe.min_dimensions, recipe.cuts) == (least, cuts)


def test_qwen3_embedding_is_known_by_its_folder_where_prompts_are_missing(tmp_path: Path):
    folder = tmp_path / "Qwen3-Embedding-0.6B-4bit"
    folder.mkdir()
    assert read(folder, {**BERT, "model_type": "qwen3"}, {}).min_dimensions == 32


@pytest.mark.parametrize(
    ("model_type", "prompts", "frame"),
    [
        ("bert", {}, ("", "")),
        ("bert", {"query": "query: "}, None),
        ("bert", {"query": "", "document": ""}, ("", "")),
        ("xlm-roberta", {"q": "Instruct: Find answers\nQuery: "}, ("Instruct: ", "\nQuery: ")),
        ("qwen3", {}, ("Instruct: ", "\nQuery:")),
        ("gemma3_text", {"query": "task: search result | query: "}, ("task: ", " | query: ")),
    ],
)
def test_instruction_is_framed_as_the_model_card_says(
    tmp_path: Path, model_type: str, prompts: Any, frame: Any
):
    recipe = read(
        tmp_path,
        {**BERT, "model_type": model_type},
        {"config_sentence_transformers.json": {"prompts": prompts}},
    )
    assert recipe.instruction_frame == frame


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "bert", "hidden_act": "gelu_new"},
        {"model_type": "bert", "position_embedding_type": "relative_key"},
        {"model_type": "modernbert", "hidden_activation": "silu"},
        {"model_type": "qwen3", "use_sliding_window": True},
        {"model_type": "gemma3_text", "use_bidirectional_attention": False},
        {"model_type": "gemma3_text", "use_bidirectional_attention": True, "hidden_activation": "gelu"},
        {"model_type": "t5"},
    ],
)
def test_architecture_that_would_be_computed_wrongly_is_refused(config: dict[str, Any]):
    with pytest.raises(InvalidInput):
        library_config({"num_hidden_layers": 2, "num_attention_heads": 2, **config})


def test_new_names_of_rotary_settings_are_read():
    ropes = {
        "full_attention": {"rope_type": "default", "rope_theta": 5e5},
        "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
    }
    shared = {"num_hidden_layers": 4, "num_attention_heads": 2, "rope_parameters": ropes}
    kinds = ["sliding_attention", "full_attention"] * 2
    gemma = library_config(
        {**shared, "model_type": "gemma3_text", "use_bidirectional_attention": True, "layer_types": kinds}
    )
    modern = library_config({**shared, "model_type": "modernbert", "layer_types": kinds[::-1]})
    qwen = library_config({**shared, "model_type": "qwen3", "rope_parameters": {"rope_theta": 3e6}})
    assert (gemma["rope_global_base_freq"], gemma["rope_local_base_freq"]) == (5e5, 2e4)
    assert gemma["sliding_window_pattern"] == 2
    assert (modern["global_rope_theta"], modern["local_rope_theta"]) == (5e5, 2e4)
    assert modern["global_attn_every_n_layers"] == 2
    assert qwen["rope_theta"] == 3e6


def test_irregular_layer_pattern_is_refused():
    kinds = ["full_attention", "sliding_attention", "full_attention", "full_attention"]
    with pytest.raises(InvalidInput, match="irregular"):
        library_config({"model_type": "modernbert", "num_hidden_layers": 4, "layer_types": kinds})


@pytest.mark.parametrize(
    "text", ["[", "{}x", '[{"type": "Transformer"}]', '{"type": "Transformer", "path": ""}']
)
def test_broken_list_of_modules_is_named(tmp_path: Path, text: str):
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(InvalidInput, match=r"modules\.json"):
        read_recipe(tmp_path, {"model_type": "bert", "max_position_embeddings": 512})
