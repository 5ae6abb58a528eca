"""What a reranker's files say about its kind, its labels, its activation and its limit."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import InvalidInput
from workers.runners.rerank.recipe import RerankRecipe, read_rerank_recipe

ONE_LABEL = {"id2label": {"0": "LABEL_0"}, "max_position_embeddings": 512}
BERT = {"model_type": "bert", "architectures": ["BertForSequenceClassification"], **ONE_LABEL}
QWEN = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 40960}
IDENTITY = "torch.nn.modules.linear.Identity"
SIGMOID = "torch.nn.modules.activation.Sigmoid"


def read(folder: Path, config: dict[str, Any], files: dict[str, Any] | None = None) -> RerankRecipe:
    for name, value in (files or {}).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(value))
    return read_rerank_recipe(folder, config)


def test_score_is_the_sigmoid_where_no_file_says(tmp_path: Path):
    assert read(tmp_path, BERT).sigmoid


@pytest.mark.parametrize("named", [{"sentence_transformers": {"activation_fn": IDENTITY}}, {}])
def test_activation_is_found_where_any_version_of_sentence_transformers_wrote_it(
    tmp_path: Path, named: dict[str, Any]
):
    old = named or {"sbert_ce_default_activation_function": IDENTITY}
    assert not read(tmp_path, {**BERT, **old}).sigmoid


def test_newest_place_of_the_activation_counts(tmp_path: Path):
    config = {**BERT, "sentence_transformers": {"activation_fn": IDENTITY}}
    assert read(tmp_path, config, {"config_sentence_transformers.json": {"activation_fn": SIGMOID}}).sigmoid


def test_probability_is_what_the_card_of_a_prompted_model_makes(tmp_path: Path):
    """Its file for sentence-transformers says Identity: that library leaves the last step to its callers."""
    files = {"config_sentence_transformers.json": {"activation_fn": IDENTITY}}
    recipe = read(tmp_path, QWEN, files)
    assert (recipe.prompted, recipe.has_classifier, recipe.sigmoid) == (True, False, True)


def test_unknown_activation_is_refused(tmp_path: Path):
    config = {**BERT, "sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Tanh"}}
    with pytest.raises(InvalidInput, match="Tanh is not supported"):
        read(tmp_path, config)


@pytest.mark.parametrize(
    "labels", [{"id2label": {"0": "no", "1": "yes", "2": "perhaps"}}, {"id2label": None}]
)
def test_classifier_of_several_labels_is_refused(tmp_path: Path, labels: dict[str, Any]):
    with pytest.raises(InvalidInput, match=r"has [23] labels. A reranker has one"):
        read(tmp_path, {**BERT, **labels})


@pytest.mark.parametrize(
    "config",
    [
        {**BERT, "model_type": "new", "architectures": ["NewForSequenceClassification"]},
        {**BERT, "architectures": ["BertModel"]},
        {"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]},
        {},
    ],
)
def test_model_that_cannot_rerank_is_refused(tmp_path: Path, config: dict[str, Any]):
    with pytest.raises(InvalidInput, match=r"cannot rerank here.*bert, xlm-roberta, modernbert, and Qwen3"):
        read(tmp_path, config)


@pytest.mark.parametrize(
    ("config", "files"),
    [
        ({"architectures": ["JinaForRanking"]}, {}),
        ({"auto_map": {"AutoConfig": "modeling_zeranker.ZEConfig"}}, {}),
        ({}, {"1_LogitScore/config.json": {"true_token_id": 9454, "false_token_id": None}}),
    ],
)
def test_other_rerankers_of_the_same_type_are_refused(
    tmp_path: Path, config: dict[str, Any], files: dict[str, Any]
):
    with pytest.raises(InvalidInput, match="Qwen3-Reranker, the only"):
        read(tmp_path, {**QWEN, **config}, files)


def test_default_prompt_of_a_cross_encoder_is_refused(tmp_path: Path):
    files = {
        "config_sentence_transformers.json": {"default_prompt_name": "query", "prompts": {"query": "q: "}}
    }
    with pytest.raises(InvalidInput, match="default prompt"):
        read(tmp_path, BERT, files)


def test_token_types_are_for_bert_whose_tokenizer_names_them(tmp_path: Path):
    assert read(tmp_path, {**BERT, "type_vocab_size": 2}).token_types == 2
    names = {"tokenizer_config.json": {"model_input_names": ["input_ids", "attention_mask"]}}
    assert read(tmp_path, {**BERT, "type_vocab_size": 2}, names).token_types == 0
    xlm_roberta = {**BERT, "model_type": "xlm-roberta", "type_vocab_size": 1, "pad_token_id": 1}
    recipe = read(tmp_path, xlm_roberta)
    assert (recipe.token_types, recipe.max_tokens) == (0, 510)
