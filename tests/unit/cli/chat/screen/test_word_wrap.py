import pytest

from cli.chat.screen.word_wrap import WordWrap


def wrapped(*pieces: str, columns: int = 10) -> str:
    written = list[str]()
    wrap = WordWrap(written.append, lambda: columns)
    for piece in pieces:
        wrap.add(piece)
    wrap.end()
    return "".join(written)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["one two", " three"], "one two\nthree"),
        (["on", "e tw", "o thr", "ee"], "one two\nthree"),
        (["one two 10", " three"], "one two 10\nthree"),
        (["one two 10 \n", "three"], "one two 10\nthree"),
        (["  one\n    two"], "  one\n    two"),
        (["a\n", "b"], "a\nb"),
        (["", "word"], "word"),
        (["a-very-long-word then"], "a-very-long-word\nthen"),
        (["一二三四五六"], "一二三四五\n六"),
        (
            ["```\na line that is long\n```\nand one more line"],
            "```\na line that is long\n```\nand one\nmore line",
        ),
    ],
)
def test_lines_break_between_words_but_not_in_code(pieces: list[str], shown: str):
    assert wrapped(*pieces) == shown


def test_a_word_is_held_until_it_ends():
    written = list[str]()
    wrap = WordWrap(written.append, lambda: 80)
    wrap.add("one tw")
    assert "".join(written) == "one"
