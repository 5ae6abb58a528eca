"""Files that are called safetensors and are none: what is said of them."""

import json
from pathlib import Path

import mlx.core as mx
import pytest

from jobs.errors import InvalidInput
from workers.models.detect import multi_vector_of
from workers.runners.checkpoint.weights import read_weights

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21461\nsize 12345\n"

WRONG = {"pointer": POINTER, "empty": b"", "cut": (1000).to_bytes(8, "little") + b'{"a"'}


@pytest.fixture(params=WRONG)
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(WRONG[request.param])
    return path


def test_file_that_holds_no_weights_is_named_when_they_are_read(file: Path):
    with pytest.raises(InvalidInput, match=r"git lfs pull") as caught:
        read_weights(file.parent)
    assert str(file) in caught.value.message
    assert caught.value.param == "model"


@pytest.mark.parametrize("model_type", ["qwen2_5_vl", "idefics3", "lfm2"])
def test_file_that_holds_no_weights_is_named_when_the_model_is_to_be_known_by_them(
    file: Path, model_type: str
):
    with pytest.raises(InvalidInput, match=r"git lfs pull") as caught:
        multi_vector_of(file.parent, {"model_type": model_type})
    assert str(file) in caught.value.message
    assert caught.value.param == "model"


def test_part_that_is_not_there_is_named(tmp_path: Path):
    mx.save_safetensors(str(tmp_path / "a.safetensors"), {"x": mx.zeros(2)})
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InvalidInput, match=r"b\.safetensors") as caught:
        read_weights(tmp_path)
    assert caught.value.param == "model"


@pytest.mark.parametrize("index", ["{}", '{"weight_map": {}}', "version https://git-lfs"])
def test_index_that_names_no_file_is_refused(tmp_path: Path, index: str):
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(InvalidInput) as caught:
        read_weights(tmp_path)
    assert caught.value.param == "model"
