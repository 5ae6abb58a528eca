import pytest

from jobs.errors import InvalidInput
from jobs.models import ModelInfo, find_model, nearest, unknown_model


def model(name: str, task: str = "embed", hub_name: str = "") -> ModelInfo:
    return ModelInfo(id=name, task=task, created=0, dimensions=1, max_tokens=1, hub_name=hub_name)


SERVED = (
    model("all-MiniLM-L6-v2", hub_name="sentence-transformers/all-MiniLM-L6-v2"),
    model("Qwen/Qwen3-0.6B", "generate", hub_name="Qwen/Qwen3-0.6B"),
    model("poet", "generate", hub_name="mlx-community/Qwen3-4B-4bit"),
    model("vectors", "embed", hub_name="mlx-community/Qwen3-4B-4bit"),
    model("bge-small-en-v1.5"),
    model("Twin", "rerank", hub_name="one/twin-a"),
    model("other", "rerank", hub_name="two/twin-a"),
)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("ALL-minilm-l6-V2", "all-MiniLM-L6-v2"),
        ("sentence-transformers/all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("Sentence-Transformers/All-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("qwen/qwen3-0.6b", "Qwen/Qwen3-0.6B"),
        ("qwen3-0.6b", "Qwen/Qwen3-0.6B"),
        ("BAAI/bge-small-en-v1.5", "bge-small-en-v1.5"),
        ("ONE/TWIN-A", "Twin"),
        ("other/Qwen3-0.6B", None),
        ("elsewhere/all-MiniLM-L6-v2", None),
        ("all-MiniLM", None),
        ("", None),
    ],
)
def test_a_name_means_the_model_that_it_names_somehow(name: str, means: str | None):
    found = find_model(name, SERVED)
    assert (found and found.id) == means


TAGGED = (model("poet"), model("poet:8b"), model("sage:latest"), model("org/name", hub_name="org/name"))


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("poet:latest", "poet"),
        ("poet:8b", "poet:8b"),
        ("poet:7b", None),
        ("sage", "sage:latest"),
        ("Sage:latest", "sage:latest"),
        ("POET:Latest", "poet"),
        ("name:latest", "org/name"),
        ("latest", None),
        (":latest", None),
    ],
)
def test_the_tag_latest_is_the_same_as_none(name: str, means: str | None):
    found = find_model(name, TAGGED)
    assert (found and found.id) == means


def test_the_task_decides_between_two_uses_of_one_model():
    for task, means in (("generate", "poet"), ("embed", "vectors")):
        found = find_model("mlx-community/qwen3-4b-4bit", SERVED, task)
        assert found and found.id == means


def test_a_name_of_several_models_is_refused_with_their_ids():
    with pytest.raises(InvalidInput, match="may be Twin or other"):
        find_model("twin-a", SERVED, "rerank")
    with pytest.raises(InvalidInput, match="may be poet or vectors"):
        find_model("mlx-community/Qwen3-4B-4bit", SERVED)


def test_capital_letters_decide_where_ids_differ_in_nothing_else():
    pair = (model("a"), model("A"))
    assert [find_model(name, pair) for name in "aA"] == list(pair)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("all-MiniLM-L6", "all-MiniLM-L6-v2"),
        ("sentence-transformers/all-minilm-l12-v2", "all-MiniLM-L6-v2"),
        ("Qwen3-0.5B", "Qwen/Qwen3-0.6B"),
        ("gpt-4o", None),
    ],
)
def test_an_unknown_name_is_told_the_nearest(name: str, meant: str | None):
    assert nearest(name, [info.id for info in SERVED]) == meant
    message = unknown_model(name, SERVED).message
    assert ("Did you mean" in message) == (meant is not None)
    assert "There is: Qwen/Qwen3-0.6B, Twin, all-MiniLM-L6-v2" in message


def test_of_a_long_name_a_part_is_told_and_nothing_is_suggested():
    assert nearest("b" + "a" * 250, ["a" * 250]) is None
    name = "all-MiniLM-L6-v2" + "a/b" * 1_000_000
    message = unknown_model(name, SERVED).message
    assert message.startswith("No worker serves the model 'all-MiniLM-L6-v2a/b")
    assert len(message) < 500
