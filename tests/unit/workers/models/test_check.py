import json
import shutil
from pathlib import Path

import pytest

from jobs.errors import InvalidInput, UnknownModel
from jobs.settings import Settings
from tests.support.folders import TINY_CHAT
from workers.models.check import check_models


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of tiny-chat that a test may spoil."""
    return Path(shutil.copytree(TINY_CHAT, tmp_path / "copy"))


def sure(*specs: object, **settings: int) -> bool:
    return check_models(Settings(models=tuple(map(str, specs)), **settings))[1]  # pyright: ignore[reportArgumentType]


def test_good_models_are_known_by_their_files_and_called_by_their_names(minilm: Path):
    models, sure = check_models(Settings(models=(str(minilm), f"chat={TINY_CHAT}")))
    assert sure
    assert [model.id for model in models] == ["model", "chat"]


def test_a_model_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(UnknownModel):
        sure(tmp_path / "nowhere")


def test_two_models_of_one_name_are_refused(copy: Path):
    with pytest.raises(InvalidInput, match="Two models are called chat"):
        sure(f"chat={TINY_CHAT}", f"chat={copy}")


def test_a_config_that_cannot_be_read_is_refused(copy: Path):
    (copy / "config.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"config\.json is not valid JSON"):
        sure(copy)


def test_a_type_that_nobody_knows_is_refused(copy: Path):
    (copy / "config.json").write_text('{"model_type": "unheard_of"}')
    with pytest.raises(InvalidInput, match="of type 'unheard_of', which cannot be served"):
        sure(copy)


@pytest.mark.parametrize(
    "config", [{}, {"model_type": "bunny-llama"}, {"model_type": "x", "architectures": ["BoundaryExtractor"]}]
)
def test_what_the_libraries_may_know_by_another_name_is_left_open(copy: Path, config: dict[str, object]):
    (copy / "config.json").write_text(json.dumps(config))
    assert not sure(copy)


def test_weights_that_are_cut_or_no_weights_are_left_open(copy: Path):
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    assert sure(copy)
    for spoilt in (whole[:-1], whole[:100], b"version https://git-lfs.github.com/spec/v1\n", b""):
        weights.write_bytes(spoilt)
        assert not sure(copy)
    weights.unlink()
    assert not sure(copy)


def test_a_model_over_the_memory_is_left_open(copy: Path):
    size_bytes = (copy / "model.safetensors").stat().st_size
    assert sure(copy, model_bytes=2 * size_bytes)
    assert not sure(copy, model_bytes=size_bytes // 2)
