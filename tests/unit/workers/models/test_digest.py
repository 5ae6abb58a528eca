"""The digest of a model's files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.support.folders import TINY_CHAT
from workers.models.digest import digest_of
from workers.models.resolve import LocalModel


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(TINY_CHAT, tmp_path / "another name")


def digest(folder: Path, **of: object) -> str:
    return digest_of(LocalModel("m", folder, **of))  # pyright: ignore[reportArgumentType]


def test_copies_of_a_model_have_one_digest(folder: Path):
    assert digest(folder) == digest(TINY_CHAT)
    config = json.loads((folder / "config.json").read_text())
    config |= {"_name_or_path": "somewhere", "transformers_version": "9.9"}
    (folder / "config.json").write_text(json.dumps(dict(reversed(config.items())), indent=7))
    (folder / "README.md").write_text("a copy")
    assert digest(folder) == digest(TINY_CHAT)


def test_weights_may_be_cut_into_files_in_several_ways(folder: Path):
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for number, name in enumerate(tensors):
        save_file({name: tensors[name]}, folder / f"model-{number}.safetensors")
    assert digest(folder) == digest(TINY_CHAT)


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_another_config_or_tokenizer_is_another_model(folder: Path, file: str):
    text = (folder / file).read_text()
    (folder / file).write_text(text.replace("{", '{"one_more": 1, ', 1))
    assert digest(folder) != digest(TINY_CHAT)


def test_a_fine_tuned_model_is_another_model_than_its_base(folder: Path):
    tensors = {
        name: (tensor.astype(np.float32) * 1.01).astype(tensor.dtype)
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(tensors, folder / "model.safetensors")
    assert digest(folder) != digest(TINY_CHAT)


def test_other_shapes_are_another_model(folder: Path):
    tensors = load_file(folder / "model.safetensors")
    name = sorted(tensors)[1]
    tensors[name] = tensors[name].reshape(1, *tensors[name].shape)
    save_file(tensors, folder / "model.safetensors")
    assert digest(folder) != digest(TINY_CHAT)


def test_a_task_of_its_own_and_an_adapter_make_another_model(folder: Path, tmp_path: Path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    save_file({"lora_a": np.ones(3, dtype=np.float32)}, adapter / "adapters.safetensors")
    with_adapter = digest(folder, adapter=adapter)
    assert len({digest(folder), digest(folder, task="embed"), with_adapter}) == 3
    save_file({"lora_a": np.full(3, 2, dtype=np.float32)}, adapter / "adapters.safetensors")
    assert digest(folder, adapter=adapter) != with_adapter


def test_a_draft_makes_no_other_model(folder: Path):
    assert digest(folder, draft=TINY_CHAT) == digest(folder)
