"""What a conversion that was killed leaves, at each of its steps."""

from pathlib import Path

import pytest

from jobs.catalogue.pull_lock import held, lock_of
from workers.pull.quantise.staging import new_of, old_of, replace, sweep, tidy


def made(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text(text)


def models(folder: Path) -> dict[str, str]:
    """Each with what is in it."""
    return {path.parent.name: path.read_text() for path in folder.rglob("*.safetensors")}


@pytest.mark.parametrize(
    ("left", "stays"),
    [
        (("new",), {}),
        (("new", "target"), {"bert-4bit": "target"}),
        (("new", "old"), {"bert-4bit": "old"}),
        (("target", "old"), {"bert-4bit": "target"}),
    ],
)
@pytest.mark.parametrize("under", ["", "org"])
def test_what_was_good_stays_and_the_rest_is_swept(
    tmp_path: Path, under: str, left: tuple[str, ...], stays: dict[str, str]
):
    target = tmp_path / under / "bert-4bit"
    for name in left:
        made({"new": new_of(target), "old": old_of(target), "target": target}[name], name)

    sweep(tmp_path)

    assert models(tmp_path) == stays


def test_what_is_being_made_is_not_swept(tmp_path: Path):
    target = tmp_path / "bert-4bit"
    made(new_of(target), "new")
    with held(lock_of(target), lambda _: None):
        sweep(tmp_path)
    assert models(tmp_path) == {".bert-4bit.new": "new"}


def test_one_that_fails_between_its_renames_leaves_what_was_there(tmp_path: Path):
    target = tmp_path / "bert-4bit"
    made(target, "old")
    with pytest.raises(FileNotFoundError):
        replace(target)  # there is no new one
    tidy(target)
    assert models(tmp_path) == {"bert-4bit": "old"}
