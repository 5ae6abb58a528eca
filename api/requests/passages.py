"""Queries and documents of a reranking as callers give them: texts, pictures, or both."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from api.requests.images import ImageReference, ImageSource, load_images
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.rerank import Passage


class TextOrImage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """image: an http(s) address, a data URI, or the base64 alone; where there is a text, too, it is read after it."""

    text: str | None = None
    image: str | None = None


GivenPassage = str | TextOrImage


class PassageField(NamedTuple):
    """A field of the body: one passage, or a list of them."""

    name: str
    given: GivenPassage | Sequence[GivenPassage]


async def load_passages(
    fields: Sequence[PassageField], images: ImageSource | None
) -> list[tuple[Passage, ...]]:
    """The passages of each field; fetches the images, once all else is found good. Raises InvalidInput by the place."""
    placed = [list(_placed(field)) for field in fields]
    references = [_checked(given, place) for each in placed for place, given in each]
    pictures = iter(await load_images([each for each in references if each is not None], images))
    return [tuple(_passage(given, pictures) for _, given in each) for each in placed]


def _placed(field: PassageField) -> Iterator[tuple[str, GivenPassage]]:
    """Each passage with its place in the body."""
    if isinstance(field.given, str | TextOrImage):
        yield field.name, field.given
    else:
        for number, given in enumerate(field.given):
            yield f"{field.name}[{number}]", given


def _checked(given: GivenPassage, place: str) -> ImageReference | None:
    """The image of a passage that is not empty."""
    text, image = (given, None) if isinstance(given, str) else (given.text, given.image)
    if image is not None:
        return ImageReference(image, f"{place}.image")
    if not text:
        what = "is empty" if text is not None else "needs a text or an image"
        raise InvalidInput(f"{place} {what}.", param=place.partition("[")[0])
    return None


def _passage(given: GivenPassage, pictures: Iterator[bytes]) -> Passage:
    """pictures: one is taken if the passage has one."""
    if isinstance(given, str):
        return given
    if given.image is None:
        return given.text or ""
    text = (TextPart(given.text),) if given.text else ()
    return (ImagePart(next(pictures)), *text)
