"""Which models an ingest takes."""

import pytest

from cli.cannot_do import CannotDo
from cli.ingest.wiring.choose import choose_models
from jobs.models import ModelInfo


def model(name: str, *abilities: str, task: str = "embed") -> ModelInfo:
    return ModelInfo(
        name, task, created=1, dimensions=8, max_tokens=512, abilities=abilities, digest=f"digest of {name}"
    )


TEXT = model("minilm")
OTHER = model("e5")
VISUAL = model("colqwen", "multi_vector", "vision")
COLBERT = model("colbert", "multi_vector")
CHAT = model("chat", "vision", task="generate")


def chosen(
    *served: ModelInfo,
    asked: tuple[str, ...] = (),
    named: tuple[str, ...] = (),
    used: dict[str, str] | None = None,
) -> dict[str, str]:
    return {kind: info.id for kind, info in choose_models(served, asked, named, used or {}).items()}


def test_what_the_served_models_make_possible_is_made():
    assert chosen(TEXT, CHAT, COLBERT) == {"text": "minilm"}
    assert chosen(VISUAL, CHAT) == {"visual": "colqwen"}
    assert chosen(TEXT, VISUAL) == {"visual": "colqwen", "text": "minilm"}


def test_what_is_asked_for_is_made():
    assert chosen(TEXT, VISUAL, asked=("text",)) == {"text": "minilm"}


def test_a_collection_keeps_the_kinds_that_it_has():
    assert chosen(TEXT, VISUAL, used={"text": ""}) == {"text": "minilm"}


def test_of_several_models_the_collections_own_is_taken():
    assert chosen(TEXT, OTHER, used={"text": "digest of e5"}) == {"text": "e5"}
    assert chosen(TEXT, OTHER, used={"text": "e5"}) == {"text": "e5"}


def test_of_several_models_the_named_one_is_taken():
    assert chosen(TEXT, OTHER, named=("E5",), used={"text": "digest of minilm"}) == {"text": "e5"}


@pytest.mark.parametrize(
    ("served", "asked", "named", "says"),
    [
        ((), (), (), r"mlxq up --model all-MiniLM-L6-v2"),
        ((CHAT,), (), (), r"No worker serves a model that embeds texts or pages"),
        ((TEXT,), ("visual",), (), r"embeds pages as images.*mlxq up"),
        ((VISUAL,), ("text",), (), r"embeds texts.*mlxq up"),
        ((TEXT, OTHER), (), (), r"say --model minilm or e5"),
        ((TEXT,), (), ("nothing",), r"'nothing'.*There is: minilm"),
        ((TEXT, CHAT), (), ("chat",), r"'chat'.*There is: minilm"),
    ],
)
def test_what_cannot_be_made_is_told_with_what_to_do(
    served: tuple[ModelInfo, ...], asked: tuple[str, ...], named: tuple[str, ...], says: str
):
    with pytest.raises(CannotDo, match=says):
        chosen(*served, asked=asked, named=named)
