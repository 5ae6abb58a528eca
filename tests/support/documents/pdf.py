"""PDFs made byte by byte: words at known places, turned pages, forms, labels, bookmarks, passwords."""

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.support.documents.rc4 import Encryption

A4 = (595.0, 842.0)

COURIER = "/Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding"

ADVANCE = 0.6
"""Of each letter of Courier, times the size."""

ASCENT, DESCENT = 0.63, 0.16
"""About what Courier's letters reach above and below the line they stand on."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom: from 0 to 1 of the page as it is shown."""


class Text(NamedTuple):
    """A line in Courier."""

    text: str
    x: float
    """Points from the left edge of the page before it is turned."""
    y: float
    """Points from its upper edge to the line that the letters stand on."""
    size: float = 24
    invisible: bool = False


class Field(NamedTuple):
    """A form's text field that is filled in."""

    value: str
    x: float
    y: float
    """Points from the upper left corner to the field's."""
    width: float = 200
    height: float = 30


class PdfPage(NamedTuple):
    """A page of a PDF."""

    texts: Sequence[Text] = ()
    size: tuple[float, float] = A4
    """Points, before it is turned."""
    rotation: int = 0
    """Degrees, clockwise."""
    crop: tuple[float, float, float, float] | None = None
    """Left, bottom, right, top: what is shown of it, in points from the lower left corner."""
    fields: Sequence[Field] = ()
    jpeg: tuple[bytes, int, int] | None = None
    """An RGB image over the whole page, its width and height."""
    drawing: bytes = b""
    """Anything else of a content stream; its font is F1."""
    origin: tuple[float, float] = (0.0, 0.0)
    """Where the page's lower left corner is: in what is drawn and cropped, not in texts and fields."""

    def box(self, text: Text, word: str = "") -> Box:
        """Where a text is, or a word of it: about as high as its letters."""
        start = text.text.index(word)
        length = len(word or text.text)
        left = text.x + start * ADVANCE * text.size
        right = left + length * ADVANCE * text.size
        return self._shown(left, text.y - ASCENT * text.size, right, text.y + DESCENT * text.size)

    def _shown(self, left: float, top: float, right: float, bottom: float) -> Box:
        width, height = self.size
        if self.crop is not None:
            x, low, x_end, high = self.crop
            left, right = left - x, right - x
            top, bottom = top - (height - high), bottom - (height - high)
            width, height = x_end - x, high - low
        left, right, top, bottom = left / width, right / width, top / height, bottom / height
        match self.rotation % 360:
            case 90:
                return 1 - bottom, left, 1 - top, right
            case 180:
                return 1 - right, 1 - bottom, 1 - left, 1 - top
            case 270:
                return top, 1 - right, bottom, 1 - left
            case _:
                return left, top, right, bottom


def pdf(
    pages: Sequence[PdfPage],
    *,
    labels: Mapping[int, str] | None = None,
    bookmarks: Sequence[tuple[str, int]] = (),
    password: str | None = None,
    owner_password: str = "",
    font: str = COURIER,
) -> bytes:
    """labels: from a page's index on, such as {0: "/S /r", 2: "/S /D"} (i, ii, 1, 2, …). bookmarks: title and page,
    from 1. password: that it is encrypted with; "" encrypts it so that anybody can open it.
    """
    encryption = None if password is None else Encryption(password, owner_password)
    return _Writer(encryption).document(pages, labels or {}, bookmarks, font)


def text_pdf(*pages: str, password: str | None = None) -> bytes:
    """A page of each text, line by line."""
    return pdf([page_of(text) for text in pages], password=password)


def page_of(text: str, size: float = 14) -> PdfPage:
    """A page that holds a text, line by line."""
    lines = text.splitlines()
    return PdfPage([Text(line, 50, 60 + 1.5 * size * index, size) for index, line in enumerate(lines)])


class _Writer:
    def __init__(self, encryption: Encryption | None) -> None:
        self._encryption = encryption
        self._objects: list[bytes] = []

    def document(
        self,
        pages: Sequence[PdfPage],
        labels: Mapping[int, str],
        bookmarks: Sequence[tuple[str, int]],
        font_entries: str,
    ) -> bytes:
        root, tree, font = (self._reserve() for _ in range(3))
        self._set(font, f"<< {font_entries} >>".encode())
        fields = list[int]()
        kids = [self._page(page, tree, font, fields) for page in pages]
        self._set(tree, b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), _refs(kids)))
        entries = [b"/Type /Catalog /Pages %d 0 R" % tree]
        if labels:
            nums = " ".join(f"{index} << {style} >>" for index, style in labels.items())
            entries.append(f"/PageLabels << /Nums [{nums}] >>".encode())
        if fields:
            resources = b"/DR << /Font << /F1 %d 0 R >> >> /DA %s" % (
                font,
                self._string(b"/F1 18 Tf 0 g", root),
            )
            entries.append(
                b"/AcroForm << /Fields [%s] /NeedAppearances true %s >>" % (_refs(fields), resources)
            )
        if bookmarks:
            entries.append(b"/Outlines %d 0 R" % self._outline(bookmarks, kids))
        self._set(root, b"<< %s >>" % b" ".join(entries))
        return self._file(root)

    def _page(self, page: PdfPage, tree: int, font: int, fields: list[int]) -> int:
        number = self._reserve()
        height = page.size[1]
        content = [_text(each, height) for each in page.texts]
        resources = [b"/Font << /F1 %d 0 R >>" % font]
        if page.jpeg is not None:
            data, across, down = page.jpeg
            kind = b"/Type /XObject /Subtype /Image /ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode"
            image = self._stream(data, b"%s /Width %d /Height %d" % (kind, across, down))
            resources.append(b"/XObject << /Im1 %d 0 R >>" % image)
            content.insert(0, b"q %f 0 0 %f 0 0 cm /Im1 Do Q" % page.size)
        corner = (page.origin[0] + page.size[0], page.origin[1] + page.size[1])
        stream = zlib.compress(b"\n".join([*content, page.drawing]))
        body = [
            b"/Type /Page /Parent %d 0 R /MediaBox [%f %f %f %f]" % (tree, *page.origin, *corner),
            b"/Resources << %s >> /Contents %d 0 R"
            % (b" ".join(resources), self._stream(stream, b"/Filter /FlateDecode")),
        ]
        if page.rotation:
            body.append(b"/Rotate %d" % page.rotation)
        if page.crop is not None:
            body.append(b"/CropBox [%f %f %f %f]" % page.crop)
        if page.fields:
            own = [self._field(each, height, number) for each in page.fields]
            fields += own
            body.append(b"/Annots [%s]" % _refs(own))
        self._set(number, b"<< %s >>" % b" ".join(body))
        return number

    def _field(self, field: Field, height: float, page: int) -> int:
        number = self._reserve()
        top = height - field.y
        rect = (field.x, top - field.height, field.x + field.width, top)
        name, value, look = (
            self._string(each, number)
            for each in (b"f%d" % number, field.value.encode("latin-1"), b"/F1 18 Tf 0 g")
        )
        kind = b"/Type /Annot /Subtype /Widget /FT /Tx /F 4 /P %d 0 R" % page
        self._set(
            number, b"<< %s /Rect [%f %f %f %f] /T %s /V %s /DA %s >>" % (kind, *rect, name, value, look)
        )
        return number

    def _outline(self, bookmarks: Sequence[tuple[str, int]], kids: Sequence[int]) -> int:
        outline = self._reserve()
        items = [self._reserve() for _ in bookmarks]
        for index, (title, page) in enumerate(bookmarks):
            around = [(b"/Prev", index - 1), (b"/Next", index + 1)]
            links = b" ".join(b"%s %d 0 R" % (name, items[at]) for name, at in around if 0 <= at < len(items))
            text = self._string(b"\xfe\xff" + title.encode("utf-16-be"), items[index])
            dest = b"/Dest [%d 0 R /Fit]" % kids[page - 1]
            self._set(items[index], b"<< /Title %s /Parent %d 0 R %s %s >>" % (text, outline, dest, links))
        self._set(
            outline,
            b"<< /Type /Outlines /First %d 0 R /Last %d 0 R /Count %d >>" % (items[0], items[-1], len(items)),
        )
        return outline

    def _reserve(self) -> int:
        self._objects.append(b"")
        return len(self._objects)

    def _set(self, number: int, body: bytes) -> None:
        self._objects[number - 1] = body

    def _stream(self, data: bytes, entries: bytes) -> int:
        number = self._reserve()
        if self._encryption:
            data = self._encryption.encrypt(data, number)
        self._set(number, b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data))
        return number

    def _string(self, value: bytes, number: int) -> bytes:
        if self._encryption:
            value = self._encryption.encrypt(value, number)
        return b"<%s>" % value.hex().encode()

    def _file(self, root: int) -> bytes:
        trailer = b"/Root %d 0 R" % root
        if self._encryption:  # its own object is not encrypted
            number = self._reserve()
            self._set(number, self._encryption.dictionary)
            trailer += b" /Encrypt %d 0 R /ID [%s %s]" % (number, self._encryption.id, self._encryption.id)
        out = bytearray(b"%PDF-1.6\n%\xe2\xe3\xcf\xd3\n")
        places = list[int]()
        for number, body in enumerate(self._objects, 1):
            places.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        table = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
        out += b"".join(b"%010d 00000 n \n" % place for place in places)
        out += b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, trailer, table)
        return bytes(out)


def _text(text: Text, height: float) -> bytes:
    escaped = text.text.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    mode = b"3 Tr" if text.invisible else b"0 Tr"
    return b"BT %s /F1 %f Tf %f %f Td (%s) Tj ET" % (mode, text.size, text.x, height - text.y, escaped)


def _refs(numbers: Sequence[int]) -> bytes:
    return b" ".join(b"%d 0 R" % number for number in numbers)
