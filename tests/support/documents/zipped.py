"""Office documents and e-books, as small as they can be."""

import io
import zipfile
from collections.abc import Mapping, Sequence

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_MC = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
_DRAWING = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_RELATIONSHIPS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def archive(parts: Mapping[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in parts.items():
            zipped.writestr(name, content)
    return file.getvalue()


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def docx(body: str, notes: str = "") -> bytes:
    """body: the inner XML of its document. Styles: Heading1, and Chapter, which is based on it."""
    styles = (
        f'<w:styles {_W}><w:style w:styleId="Heading1"><w:pPr><w:outlineLvl w:val="0"/></w:pPr></w:style>'
        '<w:style w:styleId="Heading2"><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
        '<w:style w:styleId="Chapter"><w:basedOn w:val="Heading1"/></w:style>'
        '<w:style w:styleId="Round"><w:basedOn w:val="Round"/></w:style></w:styles>'
    )
    parts = {
        "[Content_Types].xml": "<Types/>",
        "word/document.xml": f"<w:document {_W} {_MC}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": styles,
    }
    if notes:
        parts["word/footnotes.xml"] = f"<w:footnotes {_W}>{notes}</w:footnotes>"
    return archive(parts)


def shape(text: str, kind: str = "") -> str:
    place = f'<p:nvPr><p:ph type="{kind}"/></p:nvPr>' if kind else "<p:nvPr/>"
    paragraphs = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return f"<p:sp><p:nvSpPr>{place}</p:nvSpPr><p:txBody>{paragraphs}</p:txBody></p:sp>"


def pptx(slides: Sequence[str], notes: Mapping[int, str] = {}) -> bytes:
    """The shapes of each slide, and of the notes of some, by their number from 0. Files are numbered backwards."""
    count = len(slides)
    parts = {"[Content_Types].xml": "<Types/>"}
    ids = "".join(f'<p:sldId id="{256 + i}" r:id="r{i}"/>' for i in range(count))
    parts["ppt/presentation.xml"] = (
        f"<p:presentation {_DRAWING}><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    )
    parts["ppt/_rels/presentation.xml.rels"] = _relationships(
        {f"r{i}": ("slide", f"slides/slide{count - i}.xml") for i in range(count)}
    )
    for i, shapes in enumerate(slides):
        name = f"slide{count - i}.xml"
        parts[f"ppt/slides/{name}"] = _slide("sld", shapes)
        if i in notes:
            parts[f"ppt/slides/_rels/{name}.rels"] = _relationships(
                {"n": ("notesSlide", f"../notesSlides/n{i}.xml")}
            )
            parts[f"ppt/notesSlides/n{i}.xml"] = _slide("notes", notes[i])
    return archive(parts)


def _slide(kind: str, shapes: str) -> str:
    return f"<p:{kind} {_DRAWING}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{kind}>"


def _relationships(targets: Mapping[str, tuple[str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for name, (kind, target) in targets.items()
    )
    return f"<Relationships {_RELATIONSHIPS}>{inner}</Relationships>"


def epub(chapters: Mapping[str, str], order: Sequence[str], encrypted: str = "") -> bytes:
    """Chapters by the name of their file, in another order than they are read."""
    items = "".join(
        f'<item id="i{i}" href="{name}" media-type="application/xhtml+xml"/>'
        for i, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="i{list(chapters).index(name)}"/>' for name in order)
    parts = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
        f"<spine>{spine}</spine></package>",
    }
    for name, chapter in chapters.items():
        parts[f"OEBPS/{name.replace('%20', ' ')}"] = f"<!DOCTYPE html><html><body>{chapter}</body></html>"
    if encrypted:
        parts["META-INF/encryption.xml"] = (
            f'<encryption><EncryptedData><CipherData><CipherReference URI="{encrypted}"/></CipherData></EncryptedData>'
            "</encryption>"
        )
    return archive(parts)
