"""Which files of a repository are pulled."""

import pytest

from workers.hub.wanted import wanted_files

PLAIN = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


def wanted(*paths: str, shards: list[str] | None = None, modules: tuple[str, ...] = ()) -> list[str]:
    return wanted_files(paths, shards, modules)


@pytest.mark.parametrize(
    "path",
    [
        "vocab.txt",
        "merges.txt",
        "tokenizer.model",
        "qwen.tiktoken",
        "chat_template.jinja",
        "README.md",
        "LICENSE",
        "LICENSE-MIT",
        "1_Pooling/config.json",
        "2_Dense/model.safetensors",
        "2_Dense/config.json",
        "additional_chat_templates/rag.jinja",
    ],
)
def test_what_a_model_needs_is_wanted(path: str):
    assert wanted(*PLAIN, path) == [*PLAIN, path]


@pytest.mark.parametrize(
    "path",
    [
        "modeling_custom.py",
        "1_Pooling/pooling.py",
        "pytorch_model.bin",
        "2_Dense/pytorch_model.bin",
        "training_args.bin",
        "model.pkl",
        "model.pickle",
        "model.pt",
        "model.gguf",
        "onnx/config.json",
        "onnx/model.onnx",
        "openvino/openvino_model.bin",
        "original/consolidated.00.pth",
        "original/model.safetensors",
        "original/params.json",
        "consolidated.safetensors",
        "model.fp16.safetensors",
        ".gitattributes",
        "run.sh",
        "image.png",
    ],
)
def test_programs_pickles_and_second_copies_are_not_wanted(path: str):
    assert wanted(*PLAIN, path) == PLAIN


def test_of_shards_those_are_wanted_that_the_index_names():
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = "model.safetensors.index.json"

    assert wanted("config.json", index, *shards, "model.safetensors", shards=shards) == [
        "config.json",
        index,
        *shards,
    ]


def test_modules_may_have_any_folder_that_modules_json_names():
    paths = ("config.json", "query_0_Transformer/model.safetensors", "query_0_Transformer/config.json")

    assert wanted(*paths, modules=("", "query_0_Transformer")) == [*paths]
    assert wanted(*paths) == ["config.json"]


def test_programs_are_wanted_where_the_repository_is_trusted():
    assert wanted_files([*PLAIN, "modeling.py"], None, (), programs=True) == [*PLAIN, "modeling.py"]
