"""Plain text, Markdown, HTML and CSV."""

import gzip
import time
from pathlib import Path

import pytest

from ingest.documents.page import Bookmark, Heading
from ingest.documents.problem import DocumentError
from ingest.documents.texts.pages import MAX_PAGE
from tests.support.documents.reading import opened
from tests.support.documents.texts import pages_of


def text_of(path: Path, content: bytes) -> str:
    (page,) = pages_of(path, content)
    assert page.text is not None
    return page.text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Größe 文書"),
        ("utf-8-sig", "Größe 文書"),
        ("utf-16", "Größe 文書"),
        ("utf-32", "Größe 文書"),
    ],
)
def test_text_in_an_encoding_of_unicode_is_read_without_a_warning(tmp_path: Path, encoding: str, text: str):
    (page,) = pages_of(tmp_path / "a.txt", text.encode(encoding))

    assert (page.text, page.warnings) == (text, ())


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Die Straße führt über die Brücke, und „das“ ist schön für müde Füße."),
        ("cp1252", "Größe"),
        ("cp1250", "Zażółć gęślą jaźń. Święta są już za nami, a śnieg ciągle leży wokół domów."),
        ("koi8_r", "Это довольно длинный русский текст, чтобы можно было угадать кодировку файла."),
        ("euc_jp", "日本語の文書です。これは長い文章で、文字コードを推測するために使います。" * 3),
        ("shift_jis", "日本語の文書です。これは長い文章で、文字コードを推測するために使います。" * 3),
        ("cp1251", "Это довольно длинный русский текст, чтобы можно было угадать кодировку файла."),
        ("gb18030", "这是一个比较长的中文文本，用来猜测文件的编码。我们希望结果是正确的。" * 3),
    ],
)
def test_another_encoding_is_guessed_and_said(tmp_path: Path, encoding: str, text: str):
    (page,) = pages_of(tmp_path / "a.txt", text.encode(encoding))

    assert page.text == text
    assert [warning.kind for warning in page.warnings] == ["guessed_encoding"]


def test_a_gzipped_text_is_read_by_the_name_of_what_is_in_it(tmp_path: Path):
    pages = pages_of(tmp_path / "a.md.gz", gzip.compress(b"# Title\n\ntext"))

    assert pages[0].headings == (Heading("Title", 0, 0),)


@pytest.mark.parametrize(
    "content", [b"\x7fELF" + b"text" * 9, bytes(range(256)) * 9, b"{\\rtf1 text}", b"text\0text"]
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes):
    with pytest.raises(DocumentError) as caught:
        pages_of(tmp_path / "a.txt", content)

    assert caught.value.problem.kind == "unsupported"


def test_a_long_text_is_parted_at_lines_and_nothing_is_lost(tmp_path: Path):
    lines = [f"This is line number {i} of a long text." for i in range(2_000)]

    pages = pages_of(tmp_path / "a.txt", "\r\n".join(lines).encode())

    assert [line for page in pages for line in (page.text or "").split("\n")] == lines
    assert all(MAX_PAGE / 2 <= len(page.text or "") <= MAX_PAGE for page in pages[:-1])
    assert [(page.number, page.label) for page in pages] == [(i, str(i)) for i in range(1, len(pages) + 1)]


def test_a_page_of_markdown_begins_with_a_heading_where_it_can(tmp_path: Path):
    sections = [f"## Section {i}\n\n" + f"Some words of section {i}.\n" * 150 for i in range(6)]

    path = tmp_path / "a.md"
    pages = pages_of(path, "".join(sections).encode())

    assert [[heading.title for heading in page.headings] for page in pages] == [
        [f"Section {i}"] for i in range(6)
    ]
    assert all((page.text or "").startswith("Section") for page in pages)
    with opened(path) as document:
        assert document.outline() == [Bookmark(f"Section {i}", i + 1, 1) for i in range(6)]


def test_headings_of_markdown_are_known_in_every_form_but_not_within_code(tmp_path: Path):
    source = """Title
=====
#hashtag is none
### Third ###
```sh
# a comment
```
Second
------
| a | b |
---
- item
---
"""
    (page,) = pages_of(tmp_path / "a.md", source.encode())

    assert [(each.title, each.level) for each in page.headings] == [("Title", 0), ("Third", 2), ("Second", 1)]
    assert all((page.text or "")[each.start :].startswith(each.title) for each in page.headings)
    assert "# a comment" in (page.text or "")


def test_html_is_what_a_reader_sees_of_it(tmp_path: Path):
    source = """<!-- a comment --><!DOCTYPE html><html><head><title>T</title><style>p {}</style></head><body>
<h1>A <b>bold</b>
 title</h1><p>one<br>two &amp; three<script>bad()</script> <img alt="a picture"></p>
<ul><li>first<li>second</ul><pre>kept
  as it is</pre><table><tr><td><p>left</p><td>right</tr></table><h2>Sub</h2><svg><text>drawn</text></svg></body>"""

    (page,) = pages_of(tmp_path / "a", source.encode())

    assert page.text == (
        "A bold title\none\ntwo & three a picture\nfirst\nsecond\nkept\n  as it is\nleft | right\nSub"
    )
    assert [(each.title, each.level) for each in page.headings] == [("A bold title", 0), ("Sub", 1)]
    assert page.text[page.headings[1].start :] == "Sub"


def test_html_is_read_in_the_encoding_that_it_names(tmp_path: Path):
    source = '<html><head><meta http-equiv="Content-Type" content="text/html; charset=shift_jis"></head>文書</html>'

    assert text_of(tmp_path / "a", source.encode("shift_jis")) == "文書"


def test_html_may_be_nested_as_deeply_as_it_likes(tmp_path: Path):
    start = time.process_time()

    assert text_of(tmp_path / "a.html", b"<html>" + b"<div>" * 30_000 + b"deep") == "deep"
    assert time.process_time() - start < 5


def test_rows_of_a_table_name_their_columns(tmp_path: Path):
    source = 'name;born;note\nAda;1815;"a, b\nc"\nAlan;1912;\n'

    assert text_of(tmp_path / "a.csv", source.encode()) == (
        "name: Ada | born: 1815 | note: a, b c\nname: Alan | born: 1912"
    )


def test_a_table_without_names_is_its_values(tmp_path: Path):
    assert text_of(tmp_path / "a.tsv", b"1\t2\n3\t4\n") == "1 | 2\n3 | 4"


def test_a_table_with_one_enormous_field_is_read(tmp_path: Path):
    pages = pages_of(tmp_path / "a.csv", b'a,b\n1,"' + b"x " * 200_000 + b'"\n')

    assert sum((page.text or "").count("x") for page in pages) == 200_000
