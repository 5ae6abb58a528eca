"""PDFs: what is drawn where, labels, passwords, and those that are broken."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from ingest.documents.canvas import Canvas
from ingest.documents.pdf.document import PAGES_PER_OPENING
from ingest.documents.problem import DocumentError
from ingest.documents.wants import RenderBudget, Wants
from tests.support.documents.pdf import Field, PdfPage, Text, page_of, pdf, text_pdf
from tests.support.documents.reading import COLQWEN, Picture, opened, read_page
from tests.support.images import (
    encode,  # noqa: F401
)


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path


def ink(picture: Picture) -> tuple[float, float, float, float]:
    """The box of what is dark, from 0 to 1."""
    down, across = np.nonzero((picture < 128).all(axis=2))
    height, width, _ = picture.shape
    return across.min() / width, down.min() / height, (across.max() + 1) / width, (down.max() + 1) / height


TURNED = [PdfPage(size=(600, 800), rotation=turn) for turn in (0, 90, 180, 270)]
CROPPED = [page._replace(crop=(60, 300, 500, 780)) for page in TURNED]


@pytest.mark.parametrize("page", [*TURNED, *CROPPED])
def test_a_word_is_drawn_where_it_stands_on_the_page_as_it_is_shown(tmp_path: Path, page: PdfPage):
    text = Text("Hxgp", 100, 200, 40)

    _, picture = read_page(saved(tmp_path, pdf([page._replace(texts=[text])])))

    assert ink(picture) == pytest.approx(page.box(text), abs=0.02)


def test_a_page_is_as_large_as_the_model_reads_it(tmp_path: Path):
    _, picture = read_page(saved(tmp_path, text_pdf("text")))

    assert picture.shape == (32 * 28, 23 * 28, 3)


@pytest.mark.parametrize("side", [14_400, 200_000])
def test_a_page_that_says_it_is_huge_takes_no_more_memory(tmp_path: Path, side: int):
    _, picture = read_page(saved(tmp_path, pdf([PdfPage(size=(side, side))])))

    assert picture.nbytes <= COLQWEN.max_pixels * 3


def test_what_a_form_holds_is_drawn(tmp_path: Path):
    field = Field("filled in", 100, 100)

    _, picture = read_page(saved(tmp_path, pdf([PdfPage(fields=[field])])))

    left, top, right, bottom = ink(picture)
    assert 95 < left * 595 < right * 595 < 305
    assert 95 < top * 842 < bottom * 842 < 135


def test_pages_have_the_labels_that_the_document_gives_them(tmp_path: Path):
    path = saved(tmp_path, pdf([PdfPage()] * 5, labels={0: "/S /r", 2: "/S /D", 4: "/P (A-) /S /D /St 7"}))

    with opened(path) as document:
        assert document.page_count == 5
    assert [read_page(path, number)[0].label for number in range(1, 6)] == ["i", "ii", "1", "2", "A-7"]


def test_pages_without_labels_are_numbered(tmp_path: Path):
    assert read_page(saved(tmp_path, text_pdf("one", "two")), 2)[0].label == "2"


def test_colours_are_red_green_and_blue(tmp_path: Path):
    _, picture = read_page(saved(tmp_path, pdf([PdfPage(drawing=b"1 0.5 0 rg 0 0 1000 1000 re f")])))

    assert picture[100, 100].tolist() == [255, 128, 0]


def test_a_document_that_is_opened_again_goes_on_where_it_was(tmp_path: Path):
    count = PAGES_PER_OPENING + 3
    path = saved(
        tmp_path, pdf([PdfPage([Text("x", 10 + 4 * index, 400)]) for index in range(count)], password="p")
    )
    canvas = Canvas(memoryview(bytearray(30_000)))
    lefts = list[float]()
    with opened(path, "p") as document:
        for number in range(1, count + 1):
            document.read(number, Wants(RenderBudget(10_000)), canvas)
            width, height = canvas.size or (0, 0)
            picture = np.array(canvas.pixels).reshape(height, width, 3)
            lefts.append(float(np.nonzero((picture < 240).any(axis=(0, 2)))[0][0]))

    assert lefts == sorted(lefts) and lefts[-1] > lefts[0]


@pytest.mark.parametrize(
    ("passwords", "said"), [((), "--password-file"), (("wrong", "also wrong"), "None of the passwords")]
)
def test_an_encrypted_document_says_what_it_needs(tmp_path: Path, passwords: tuple[str, ...], said: str):
    path = saved(tmp_path, text_pdf("secret", password="right"))

    with pytest.raises(DocumentError) as raised:
        read_page(path, passwords=passwords)

    assert raised.value.problem.kind == "encrypted"
    assert said in raised.value.problem.message
    assert "secret" not in raised.value.problem.message


def test_one_of_several_passwords_opens_it(tmp_path: Path):
    path = saved(tmp_path, text_pdf("secret", password="rïght"))

    _, picture = read_page(path, passwords=("wrong", "rïght"))

    assert picture.min() < 128


def test_a_document_whose_owner_alone_has_a_password_opens(tmp_path: Path):
    path = saved(tmp_path, pdf([page_of("free to read")], password="", owner_password="owner"))

    assert read_page(path)[1].min() < 128


def test_a_page_whose_text_is_not_seen_is_suspect(tmp_path: Path):
    hidden = PdfPage([Text("cannot be seen", 100, 100, invisible=True)])
    path = saved(tmp_path, pdf([hidden, PdfPage(), page_of("seen")]))

    warnings = [read_page(path, number)[0].warnings for number in (1, 2, 3)]

    assert [[each.kind for each in found] for found in warnings] == [["no_ink"], [], []]
    assert "fonts" in warnings[0][0].message


def test_a_document_without_its_end_mark_is_suspect_at_its_last_page(tmp_path: Path):
    path = saved(tmp_path, text_pdf("one", "two").replace(b"%%EOF", b""))

    assert read_page(path, 1)[0].warnings == ()
    assert [each.kind for each in read_page(path, 2)[0].warnings] == ["truncated"]


@pytest.mark.parametrize("before", [b"", b"junk of a mail\r\n" * 20])
@pytest.mark.parametrize("behind", [b"", bytes(5000)])
def test_junk_around_a_document_is_no_harm(tmp_path: Path, before: bytes, behind: bytes):
    page, picture = read_page(saved(tmp_path, before + text_pdf("text") + behind))

    assert page.warnings == ()
    assert picture.min() < 128


def test_a_gzip_of_a_pdf_is_that_pdf(tmp_path: Path):
    assert read_page(saved(tmp_path, gzip.compress(text_pdf("text"))))[1].min() < 128


BAD = {
    "cut off": (text_pdf(*["text"] * 20)[:-400], "truncated"),
    "random bytes": (b"%PDF-1.4\n" + os.urandom(20_000) + b"%%EOF", "unreadable"),
    "an unknown cipher": (
        text_pdf("text", password="").replace(b"/Filter /Standard", b"/Filter /Unknown1"),
        "unsupported",
    ),
    "no pages": (pdf([]), "empty"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_broken_document_is_named(tmp_path: Path, what: str):
    data, kind = BAD[what]

    with pytest.raises(DocumentError) as raised:
        read_page(saved(tmp_path, data))
    assert raised.value.problem.kind == kind


def test_a_page_that_is_missing_in_the_file_is_that_pages_problem(tmp_path: Path):
    data = text_pdf("one", "two", "three")
    second = data.index(b"/Type /Page ", data.index(b"/Type /Page ") + 1)
    path = saved(tmp_path, data[:second] + b"/Type /Nope " + data[second + 12 :])

    assert read_page(path, 3)[1].min() < 128
    with pytest.raises(DocumentError) as raised:
        read_page(path, 2)
    assert raised.value.problem.kind == "unreadable"
