"""Inputs of an embedding that are pictures, or texts with one: an object says so, and for a model that sees an address
or a data URI in a text's place does, too.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.passages import TextOrImage
from api.work.models import served_model
from api.work.queue import Queue
from jobs.content import ImagePart, MixedInput, TextPart
from jobs.errors import InvalidInput

Given = str | tuple[int, ...] | TextOrImage

_SHOWN = re.compile(r"(https?://\S+|data:image/\S+)\Z", re.IGNORECASE)
_DATA = re.compile(r"data:image/", re.IGNORECASE)


class _Shown(NamedTuple):
    """What an input turned out to be. picture: where it is, None for none."""

    text: str | tuple[int, ...]
    picture: ImageReference | None


async def load_pages(
    queue: Queue,
    model: str,
    given: Sequence[Given],
    image_url: str | None,
    images: ImageSource | None,
) -> tuple[str | tuple[int, ...] | MixedInput, ...]:
    """The inputs as jobs have them; pictures are fetched once all else is found good.

    image_url: a picture that goes with each text. Raises InvalidInput naming the place, and UnknownModel.
    """
    if image_url is None and not any(map(_may_show, given)):
        return given  # pyright: ignore[reportReturnType]: no objects among them
    sees = "vision" in (await served_model(queue, model, "embed")).abilities
    shown = [_read(each, f"input[{place}]", image_url, sees=sees) for place, each in enumerate(given)]
    references = [each.picture for each in shown if each.picture]
    if references and not sees:
        raise InvalidInput(
            f"{references[0].place} is a picture, and the model {model} reads texts only.",
            param=references[0].param,
        )
    pictures = iter(await load_images(references, images))
    return tuple(_page(each, pictures) for each in shown)


def _may_show(given: Given) -> bool:
    return isinstance(given, TextOrImage) or (isinstance(given, str) and bool(_SHOWN.match(given)))


def _read(given: Given, place: str, image_url: str | None, *, sees: bool) -> _Shown:
    if isinstance(given, TextOrImage):
        if given.image is not None:
            return _Shown(given.text or "", ImageReference(given.image, f"{place}.image"))
        if not given.text:
            raise InvalidInput(f"{place} needs a text or an image.", param="input")
        given = given.text
    elif isinstance(given, str) and _SHOWN.match(given) and (sees or _DATA.match(given)):
        return _Shown(
            "", ImageReference(given, place)
        )  # an address is a text like any other where nobody sees
    if image_url is not None and isinstance(given, str):
        return _Shown(given, ImageReference(image_url, "image_url"))
    return _Shown(given, None)


def _page(shown: _Shown, pictures: Iterator[bytes]) -> str | tuple[int, ...] | MixedInput:
    """pictures: one is taken if the input has one."""
    if shown.picture is None:
        return shown.text
    assert isinstance(shown.text, str), "token ids have no picture"
    text = (TextPart(shown.text),) if shown.text else ()
    return MixedInput((ImagePart(next(pictures)), *text))
