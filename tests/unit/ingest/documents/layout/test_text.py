import gc
import random
import time

import pytest

from ingest.documents.layout.box import Box, turned
from ingest.documents.layout.text import lay_out
from ingest.documents.layout.word import PlacedWord


def words_at(left: float, top: float, text: str, size: float = 10) -> list[PlacedWord]:
    """A line of words, half as wide as high, or as wide as high where they are Chinese."""
    words = list[PlacedWord]()
    for word in text.split():
        right = left + sum(size if character > "\u2e80" else size / 2 for character in word)
        words.append(PlacedWord(word, Box(left, top, right, top + size)))
        left = right + size / 4
    return words


def column(left: float, top: float, lines: list[str], size: float = 10) -> list[PlacedWord]:
    return [word for i, line in enumerate(lines) for word in words_at(left, top + i * size * 1.2, line, size)]


def prose(name: str, lines: int) -> list[str]:
    return [f"{name} line {i} has some more words" for i in range(lines)]


def text_of(words: list[PlacedWord]) -> str:
    return lay_out(words).text


def test_three_columns_are_read_one_after_the_other():
    texts = [prose("left", 4), prose("middle", 5), prose("right", 3)]
    words = [word for x, lines in zip((0, 190, 390), texts, strict=True) for word in column(x, 0, lines)]
    random.Random(1).shuffle(words)

    assert text_of(words) == "\n\n".join("\n".join(lines) for lines in texts)


def test_columns_whose_lines_are_not_at_one_height_are_read_one_after_the_other():
    left, right = prose("left", 6), prose("right", 5)

    assert text_of(column(200, 5, right) + column(0, 0, left)) == "\n".join(left) + "\n\n" + "\n".join(right)


def test_numbers_of_a_list_stay_with_their_lines():
    words = column(0, 0, ["1.", "2.", "3.", "4."]) + column(40, 0, prose("item", 4))

    assert text_of(words) == "\n".join(f"{i + 1}. {line}" for i, line in enumerate(prose("item", 4)))


def test_two_columns_of_numbered_lines_keep_their_numbers():
    left, right = prose("left", 4), prose("right", 4)
    words = [
        *column(0, 0, ["1.", "2.", "3.", "4."]), *column(25, 0, left),
        *column(300, 0, ["5.", "6.", "7.", "8."]), *column(325, 0, right),
    ]  # fmt: skip

    numbered = [f"{i + 1}. {line}" for i, line in enumerate(left + right)]
    assert text_of(words) == "\n".join(numbered[:4]) + "\n\n" + "\n".join(numbered[4:])


def test_a_superscript_is_on_its_line():
    words = [
        *words_at(0, 10, "see the note"),
        PlacedWord("3", Box(55, 8, 58, 14), glued=True),
        *words_at(61, 10, "below"),
    ]

    assert text_of(words) == "see the note3 below"


def test_a_larger_gap_begins_a_paragraph():
    words = column(0, 0, prose("first", 2)) + column(0, 50, prose("second", 2))

    assert text_of(words) == "\n".join(prose("first", 2)) + "\n\n" + "\n".join(prose("second", 2))


def test_lines_that_are_far_apart_throughout_are_one_paragraph():
    lines = prose("line", 5)
    words = [word for i, line in enumerate(lines) for word in words_at(0, 20 * i, line)]

    assert text_of(words) == "\n".join(lines)


def test_wide_spaces_within_the_first_line_of_a_column_are_no_gutter():
    texts = [prose("left", 5), prose("right", 5)]
    words = column(0, 40, texts[0]) + column(230, 40, texts[1])
    last = [word for word in words if word.box.left > 230 and word.box.top == 40][-2:]
    words = [word for word in words if word not in last]
    words += [word._replace(box=Box(word.box.left + 10, 40, word.box.right + 10, 50)) for word in last]
    title = words_at(140, 10, "a title across the gutter") + words_at(0, 25, "and a subtitle")

    lines = "\n".join(texts[0]) + "\n\n" + "\n".join(texts[1])
    assert text_of(words + title).replace("\n\n", "\n").endswith(lines.replace("\n\n", "\n"))


def test_full_lines_without_spaces_are_joined_and_short_ones_end():
    lines = ["日本語の文章はこのように行の", "途中で折り返される。", "次の段落もまた同じように続き"]

    assert text_of(column(0, 0, lines)) == lines[0] + lines[1] + "\n" + lines[2]


def test_lines_from_right_to_left_are_read_so():
    right, left = PlacedWord("שלום", Box(60, 0, 90, 10)), PlacedWord("עולם", Box(20, 0, 50, 10))

    assert text_of([left, right]) == "שלום עולם"


def test_what_is_upright_comes_before_what_is_turned():
    stamp = [word._replace(quarters=3) for word in words_at(0, 0, "a stamp along the margin of the page")]

    assert text_of(stamp + column(0, 0, ["one"])) == "one\n\na stamp along the margin of the page"


def test_every_word_is_where_the_text_says():
    words = (
        column(0, 0, prose("left", 9)) + column(220, 3, prose("right", 7)) + column(0, 150, ["日本語 文章"])
    )
    laid_out = lay_out(words)

    assert len(laid_out.words) == len(words)
    assert all(laid_out.text[start : start + len(word.text)] == word.text for start, word in laid_out.words)
    assert all(
        laid_out.text[line.start : line.start + len(line.text)] == line.text for line in laid_out.lines
    )


@pytest.mark.parametrize("columns", [1, 20, 500])
def test_a_page_of_very_many_words_takes_time_in_proportion(columns: int):
    def seconds(rows: int) -> float:
        boxes = [Box(x * 40, y * 12, x * 40 + 20, y * 12 + 10) for x in range(columns) for y in range(rows)]
        words = [PlacedWord("word", box) for box in boxes]
        random.Random(1).shuffle(words)
        gc.disable()  # what other tests have left in memory is none of its time
        start = time.process_time()
        lay_out(words)
        seconds = time.process_time() - start
        gc.enable()
        return seconds

    small = min(seconds(1_000 // columns) for _ in range(3))

    assert seconds(6_000 // columns) < 18 * small + 0.5


def test_a_box_that_is_turned_four_times_is_where_it_was():
    box = Box(10, 20, 110, 50)

    once = turned(box, 1, 300, 200)
    assert once == Box(150, 10, 180, 110)
    assert turned(turned(once, 2, 200, 300), 1, 200, 300) == box


def test_what_lies_above_is_read_first_even_if_it_lies_further_right():
    sender, recipient = prose("sender", 4), prose("recipient", 4)

    text = text_of(column(0, 100, recipient) + column(300, 0, sender))

    assert text.index("sender line 3") < text.index("recipient line 0")
