"""The families table: each row can be opened, and is found by what its models' folders say."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workers.families import FAMILIES, Family
from workers.models.detect import multi_vector_of
from workers.models.open import imported

MULTI_VECTOR = [family for family in FAMILIES if family.multi_vector]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.model_type)
def test_every_opener_of_a_family_is_there(family: Family):
    tasks = [each for each in (family.embedding, family.multi_vector, family.reranking) if each]
    assert tasks
    assert all(callable(imported(each.opener)) for each in tasks)


def test_a_type_has_one_row():
    types = [family.model_type for family in FAMILIES]
    assert len(set(types)) == len(types)


@pytest.mark.parametrize("family", MULTI_VECTOR, ids=lambda family: family.model_type)
def test_multi_vector_models_are_told_from_the_model_they_were_made_of(tmp_path: Path, family: Family):
    assert family.multi_vector is not None
    index = tmp_path / "model.safetensors.index.json"
    config = {"model_type": family.model_type}
    index.write_text('{"weight_map": {"model.norm.weight": "a"}}')
    assert multi_vector_of(tmp_path, config) is None
    for projection in family.multi_vector.projections:
        index.write_text(f'{{"weight_map": {{"{projection}.weight": "a"}}}}')
        assert multi_vector_of(tmp_path, config) is family.multi_vector


@pytest.mark.parametrize(
    ("config", "model_type"),
    [
        ({"model_type": "colqwen2_5"}, "qwen2_5_vl"),
        ({"model_type": "qwen2_5_vl", "architectures": ["ColQwen2_5"]}, "qwen2_5_vl"),
        ({"model_type": "colqwen2", "vlm_config": {"model_type": "qwen2_5_vl"}}, "qwen2_5_vl"),
        ({"model_type": "colqwen2", "vlm_config": {"model_type": "qwen2_vl"}}, None),
        ({"model_type": "colidefics3"}, "idefics3"),
        ({"model_type": "bert"}, None),
    ],
)
def test_multi_vector_models_are_known_by_their_config(
    tmp_path: Path, config: dict[str, Any], model_type: str | None
):
    found = multi_vector_of(tmp_path, config)
    assert [each.model_type for each in MULTI_VECTOR if each.multi_vector is found] == (
        [model_type] if model_type else []
    )


def test_reading_the_table_imports_no_mlx():
    code = (
        "import sys, workers.models.detect; print([name for name in sys.modules if name.startswith('mlx')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
