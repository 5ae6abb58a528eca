import io
from pathlib import Path

import pytest

from cli.chat.entry import Entry, read_entry
from cli.chat.screen.line_reader import PlainReader
from cli.chat.slash import COMMANDS


def entry(text: str) -> Entry:
    return read_entry(PlainReader(io.StringIO(text)), COMMANDS)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("Hello\n", Entry("Hello")),
        ('"""one line"""\n', Entry("one line")),
        ('"""one\ntwo\n"""\n', Entry("one\ntwo\n")),
        ('"""\none\n  two"""\nnext', Entry("\none\n  two")),
        ('"""/bye"""\n', Entry("/bye")),
        ("/set parameter  seed 1\n", Entry("", ("/set", "parameter", "seed", "1"))),
        ("/set system You are  brief.\n", Entry("You are  brief.", ("/set", "system"))),
        ('/set system """You\nare"""\n', Entry("You\nare", ("/set", "system"))),
        ("/set system\n", Entry("", ("/set", "system"))),
        ("/nope\n", Entry("", ("/nope",))),
        ("/tmp/none.png what is this?\n", Entry("/tmp/none.png what is this?")),
    ],
)
def test_an_entry_is_a_message_or_a_command(typed: str, read: Entry):
    assert entry(typed) == read


def test_the_path_of_an_image_is_no_command(tmp_path: Path):
    image = tmp_path / "show.png"
    image.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert entry(f"{image} what is this?\n").command == ()


@pytest.mark.parametrize("typed", ["", '"""never ended\n'])
def test_the_end_of_the_input_is_the_end(typed: str):
    with pytest.raises(EOFError):
        entry(typed)
