"""Images that a message names by their paths."""

import base64
import re
from pathlib import Path
from typing import NamedTuple

from cli.cannot_do import CannotDo
from cli.client.files import image_kind, read

_PATH = re.compile(
    r"""(?P<quote>['"]?)(?P<path>(?<![\w/.])(?:~|\.{1,2})?/(?:\\.|[^\\\n'"])*?\.(?:png|jpe?g|webp|gif|bmp|tiff?))(?P=quote)(?!\w)""",
    re.IGNORECASE,
)
"""As a terminal puts a dropped file: from /, ~/, ./ or ../ on, blanks escaped, or in quotes."""
_ESCAPED = re.compile(r"\\(.)")


class Found(NamedTuple):
    text: str
    """Without the paths."""
    names: tuple[str, ...]
    images: tuple[str, ...]
    """base64, in their order."""


def images_in(text: str) -> Found:
    """Paths of files that are not there stay in the text. Raises CannotDo for a file that is no image."""
    names = list[str]()
    images = list[str]()

    def take(match: re.Match[str]) -> str:
        name = _ESCAPED.sub(r"\1", match["path"])
        if not Path(name).expanduser().is_file():
            return match[0]
        data = read(name)
        if image_kind(data) is None:
            raise CannotDo(f"{name} is no PNG, JPEG, WebP, GIF, BMP or TIFF.")
        names.append(name)
        images.append(base64.b64encode(data).decode())
        return ""

    rest = _PATH.sub(take, text)
    return Found(rest.strip() if names else text, tuple(names), tuple(images))


def missing_in(text: str) -> list[str]:
    """What looks like the path of an image and is no file."""
    names = [_ESCAPED.sub(r"\1", match["path"]) for match in _PATH.finditer(text)]
    return [name for name in names if not Path(name).expanduser().is_file()]
