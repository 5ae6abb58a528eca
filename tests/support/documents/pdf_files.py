"""Small PDFs, written by hand, so that a test says exactly what is drawn where and in which order."""

from collections.abc import Sequence


def text_at(x: float, y: float, text: str, size: float = 12, matrix: str = "1 0 0 1", mode: int = 0) -> str:
    """Draws text with its baseline's beginning at (x, y), from the lower left corner of the page. matrix: its first
    four numbers; mode 3: without ink.
    """
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT {mode} Tr /F {size} Tf {matrix} {x} {y} Tm ({escaped}) Tj ET\n"


class PdfPages:
    """Pages one after the other, then `file()`."""

    def __init__(self) -> None:
        self._pages = list[tuple[str, str]]()
        self._widgets: dict[int, list[str]] = {}
        self._catalog = list[str]()
        self._bookmarks = list[tuple[str, int]]()

    def page(
        self,
        content: str = "",
        *,
        media: Sequence[float] = (0, 0, 600, 800),
        crop: Sequence[float] | None = None,
        rotate: int = 0,
    ) -> "PdfPages":
        area = f"/MediaBox [{_numbers(media)}] /Rotate {rotate}"
        if crop is not None:
            area += f" /CropBox [{_numbers(crop)}]"
        self._pages.append((area, content))
        return self

    def field(self, name: str, value: str, box: Sequence[float]) -> "PdfPages":
        """A text field with a value on the last page."""
        self._widgets.setdefault(len(self._pages) - 1, []).append(
            f"<< /Type /Annot /Subtype /Widget /FT /Tx /T ({name}) /V ({value}) /F 4 /Rect [{_numbers(box)}] "
            "/DA (/F 12 Tf 0 g) >>"
        )
        return self

    def labels(self, numbers: str) -> "PdfPages":
        """The /Nums array of the page labels."""
        self._catalog.append(f"/PageLabels << /Nums [{numbers}] >>")
        return self

    def bookmark(self, title: str, page: int) -> "PdfPages":
        """page: from 1."""
        self._bookmarks.append((title, page))
        return self

    def file(self, font: str = "/Type /Font /Subtype /Type1 /BaseFont /Helvetica") -> bytes:
        objects = ["", "", f"<< {font} >>"]
        kids = list[int]()
        for index, (area, content) in enumerate(self._pages):
            annotations = [_add(objects, widget) for widget in self._widgets.get(index, ())]
            stream = _add(objects, f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
            notes = f"/Annots [{_references(annotations)}]" if annotations else ""
            kids.append(
                _add(
                    objects,
                    f"<< /Type /Page /Parent 2 0 R {area} /Contents {stream} 0 R {notes} "
                    "/Resources << /Font << /F 3 0 R >> >> >>",
                )
            )
            if annotations:
                self._catalog.append(
                    f"/AcroForm << /Fields [{_references(annotations)}] /DR << /Font << /F 3 0 R >> >> "
                    "/DA (/F 12 Tf 0 g) >>"
                )
        if self._bookmarks:
            self._catalog.append(f"/Outlines {self._outline(objects, kids)} 0 R")
        objects[0] = f"<< /Type /Catalog /Pages 2 0 R {' '.join(self._catalog)} >>"
        objects[1] = f"<< /Type /Pages /Kids [{_references(kids)}] /Count {len(kids)} >>"
        return _file(objects)

    def _outline(self, objects: list[str], kids: Sequence[int]) -> int:
        root, first = len(objects) + 1, len(objects) + 2
        last = first + len(self._bookmarks) - 1
        _add(
            objects,
            f"<< /Type /Outlines /First {first} 0 R /Last {last} 0 R /Count {len(self._bookmarks)} >>",
        )
        for number, (title, page) in enumerate(self._bookmarks, first):
            following = f"/Next {number + 1} 0 R" if number < last else ""
            coded = title.encode("utf-16-be").hex()
            _add(
                objects,
                f"<< /Title <FEFF{coded}> /Parent {root} 0 R {following} /Dest [{kids[page - 1]} 0 R /Fit] >>",
            )
        return root


def _add(objects: list[str], body: str) -> int:
    objects.append(body)
    return len(objects)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(map(str, values))


def _references(numbers: Sequence[int]) -> str:
    return " ".join(f"{number} 0 R" for number in numbers)


def _file(objects: Sequence[str]) -> bytes:
    out, places = b"%PDF-1.7\n", list[int]()
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()
