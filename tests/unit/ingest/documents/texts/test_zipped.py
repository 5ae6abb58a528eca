"""Office documents and e-books."""

from pathlib import Path

import pytest

from ingest.documents.page import Heading
from ingest.documents.problem import DocumentError
from ingest.documents.texts import zip_content
from tests.support.documents.texts import pages_of
from tests.support.documents.zipped import archive, docx, epub, paragraph, pptx, shape


def refusal(path: Path, content: bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        pages_of(path, content)
    return caught.value.problem.kind


def test_a_word_document_is_its_paragraphs_tables_and_notes(tmp_path: Path):
    cell = "<w:tc>{}</w:tc>"
    body = (
        paragraph("A chapter", "Chapter")
        + "<w:p><w:r><w:t>one</w:t><w:tab/><w:t>two</w:t></w:r>"
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
        + paragraph("Below", "Heading2")
        + "<w:tbl><w:tr>" + cell.format(paragraph("left")) + cell.format(paragraph("right") + paragraph("more"))
        + "</w:tr></w:tbl>"
        + "<w:p><w:r><w:t>box:</w:t><mc:AlternateContent><mc:Choice><w:txbxContent>" + paragraph("boxed")
        + "</w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent>" + paragraph("boxed")
        + "</w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>"
        + paragraph("odd", "Round")
    )  # fmt: skip
    (page,) = pages_of(
        tmp_path / "a", docx(body, notes="<w:footnote>" + paragraph("a note") + "</w:footnote>")
    )

    assert page.text == "A chapter\none\ttwo\nBelow\nleft | right more\nbox:\nboxed\nodd\na note"
    assert page.headings == (Heading("A chapter", 0, 0), Heading("Below", 18, 1))


def test_a_word_document_has_the_pages_that_word_gave_it(tmp_path: Path):
    body = (
        paragraph("one")
        + "<w:p><w:r><w:lastRenderedPageBreak/><w:t>two</w:t></w:r></w:p>"
        + '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
        + paragraph("three")
    )
    pages = pages_of(tmp_path / "a", docx(body))

    assert [page.text for page in pages] == ["one", "two", "three"]


def test_a_slide_is_a_page_with_its_title_first_and_its_notes(tmp_path: Path):
    table = (
        "<p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:r><a:t>x</a:t></a:r></a:p></a:tc>"
        "<a:tc><a:p><a:r><a:t>y</a:t></a:r></a:p></a:tc></a:tr></a:tbl></p:graphicFrame>"
    )
    first = shape("a point\nanother") + shape("7", "sldNum") + shape("The title", "ctrTitle") + table
    grouped = f"<p:grpSp>{shape('grouped')}</p:grpSp>"

    pages = pages_of(tmp_path / "a", pptx([first, grouped], {1: shape("to be said", "body")}))

    assert [page.text for page in pages] == ["The title\na point\nanother\nx | y", "grouped\nto be said"]
    assert pages[0].headings == (Heading("The title", 0, 0),)


def test_a_chapter_of_a_book_is_a_page(tmp_path: Path):
    chapters = {"b%20c.xhtml": "<h1>Second</h1><p>words</p>", "a.xhtml": "<h1>First</h1>"}

    pages = pages_of(tmp_path / "a", epub(chapters, ["a.xhtml", "b%20c.xhtml"], encrypted="OEBPS/font.otf"))

    assert [page.text for page in pages] == ["First", "Second\nwords"]
    assert pages[1].headings == (Heading("Second", 0, 0),)


def test_a_book_that_is_protected_is_refused(tmp_path: Path):
    content = epub({"a.xhtml": "secret"}, ["a.xhtml"], encrypted="OEBPS/a.xhtml")

    assert refusal(tmp_path / "a", content) == "encrypted"


def test_xml_that_declares_entities_is_refused(tmp_path: Path):
    bomb = (
        '<?xml version="1.0" encoding="{}"?><!DOCTYPE w [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
        '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">&b;</w:document>'
    )
    for encoding in ("utf-8", "utf-16"):
        content = archive({"word/document.xml": bomb.format(encoding).encode(encoding)})
        assert refusal(tmp_path / "a", content) == "unsupported"


def test_a_document_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zip_content, "MAX_PART_BYTES", 100_000)
    content = docx(paragraph("a" * 200_000))
    honest = refusal(tmp_path / "a", content)

    at = content.rfind(b"PK\x01\x02", 0, content.rfind(b"word/document.xml"))
    lying = content[: at + 24] + (10).to_bytes(4, "little") + content[at + 28 :]

    assert (honest, refusal(tmp_path / "b", lying)) == ("too_large", "unreadable")


def test_an_encrypted_part_is_named_so(tmp_path: Path):
    content = bytearray(docx(paragraph("secret")))
    at = content.rfind(b"PK\x01\x02", 0, content.rfind(b"word/document.xml"))
    content[at + 8] |= 1

    assert refusal(tmp_path / "a", bytes(content)) == "encrypted"


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_document_whose_end_is_missing_is_refused(tmp_path: Path, keep: float):
    content = docx(paragraph("words"))

    assert refusal(tmp_path / "a", content[: int(len(content) * keep)]) in (
        "truncated",
        "unsupported",
        "unreadable",
    )


def test_an_archive_that_is_no_document_is_refused(tmp_path: Path):
    assert refusal(tmp_path / "a", archive({"a.txt": "text"})) == "unsupported"


@pytest.mark.parametrize(
    ("inside", "kind"),
    [("EncryptedPackage".encode("utf-16-le"), "encrypted"), (b"WordDocument", "unsupported")],
)
def test_older_and_encrypted_office_documents_are_refused_with_what_to_do(
    tmp_path: Path, inside: bytes, kind: str
):
    assert refusal(tmp_path / "a", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + inside) == kind


def test_a_presentation_that_lacks_a_slide_is_refused(tmp_path: Path):
    content = pptx([shape("one")]).replace(b"slides/slide1.xml", b"slides/slide9.xml")

    assert refusal(tmp_path / "a", content) == "unreadable"
