from base64 import b64decode
from pathlib import Path

import pytest

from cli.cannot_do import CannotDo
from cli.chat.images import images_in, missing_in
from cli.chat.message import user_message

PNG = b"\x89PNG\r\n\x1a\n and more"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.png", "B c.JPG", "it(1).webp"):
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "text.png").write_text("no image")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "rest", "names"),
    [
        ("What is on ./a.png?", "What is on ?", ["./a.png"]),
        ("~/a.png and ./B\\ c.JPG", "and", ["~/a.png", "./B c.JPG"]),
        ("'./B c.JPG'", "", ["./B c.JPG"]),
        ('compare "./a.png" to ./it\\(1\\).webp', "compare  to", ["./a.png", "./it(1).webp"]),
        ("https://example.org/a.png", "https://example.org/a.png", []),
        ("a.png alone is a word", "a.png alone is a word", []),
        ("./none.png", "./none.png", []),
        ("./a.pngs", "./a.pngs", []),
    ],
)
def test_an_image_is_taken_by_its_path(folder: Path, text: str, rest: str, names: list[str]):
    found = images_in(text)
    assert (found.text, [*found.names]) == (rest, names)
    assert [b64decode(each) for each in found.images] == [PNG] * len(names)


def test_an_absolute_path_is_taken(folder: Path):
    assert images_in(f"see {folder}/a.png").text == "see"


def test_a_file_that_is_no_image_is_an_error(folder: Path):
    with pytest.raises(CannotDo, match=r"text\.png is no PNG"):
        images_in("./text.png")


def test_what_is_not_there_is_text_and_told(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert missing_in("./none.png ./a.png") == ["./none.png"]
    assert user_message("see ./none.png", sees=True).content == "see ./none.png"
    assert "no file ./none.png" in capsys.readouterr().err


def test_a_model_that_sees_nothing_gets_the_path_and_it_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    message = user_message("see ./a.png", sees=False)
    assert (message.content, message.images) == ("see ./a.png", ())
    assert "sees no images" in capsys.readouterr().err
