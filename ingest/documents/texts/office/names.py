"""Names in the XML of office documents (ECMA-376), as ElementTree writes them, and references between its parts."""

import posixpath
from xml.etree.ElementTree import Element

from ingest.documents.texts.zip_content import ZipContent

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
"""The same once more, for old programs."""


def relationships(content: ZipContent, part: str) -> list[Element]:
    """Of a part to others; their Target is resolved. None where it has no such list."""
    folder, name = posixpath.split(part)
    listed = f"{folder}/_rels/{name}.rels"
    if listed not in content.names:
        return []
    found = list(content.xml(listed))
    for each in found:
        each.set(
            "Target", posixpath.normpath(posixpath.join("/", folder, each.get("Target", ""))).lstrip("/")
        )
    return found
