"""Writes PDFs: text in Helvetica, lines and bars."""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 595, 842
"""Points of a page in portrait: A4."""


def text(x: float, y: float, line: str, size: float = 11) -> str:
    """Drawn from (x, y) on, in points from the lower left corner."""
    escaped = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /F {size} Tf {x:.1f} {y:.1f} Td ({escaped}) Tj ET\n"


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A thin black line."""
    return f"{x1:.1f} {y1:.1f} m {x2:.1f} {y2:.1f} l S\n"


def bar(x: float, y: float, width: float, height: float, gray: float) -> str:
    """A filled rectangle. gray: 0 is black, 1 is white."""
    return f"{gray:.2f} g {x:.1f} {y:.1f} {width:.1f} {height:.1f} re f 0 g\n"


class DrawnPage(NamedTuple):
    content: str
    is_turned: bool = False
    """The page is in landscape: its content is stored sideways, and the page says that it is to be shown turned."""


def write_pdf(pages: Sequence[DrawnPage]) -> bytes:
    """The same bytes for the same pages."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for i, page in enumerate(pages):
        content = f"0 1 -1 0 {WIDTH} 0 cm\n{page.content}" if page.is_turned else page.content
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Rotate {90 if page.is_turned else 0} "
            f"/Contents {5 + 2 * i} 0 R /Resources << /Font << /F 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content.encode('cp1252'))} >>\nstream\n{content}\nendstream")
    return _file(objects)


def _file(objects: Sequence[str]) -> bytes:
    out, places = bytearray(b"%PDF-1.7\n"), list[int]()
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("cp1252")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return bytes(out) + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()
