"""What a multi-vector model reads: queries, texts and pages with the words around them that it was trained with.

The words are colpali_engine's, with one exception: its later releases leave "Query: " out, with which the published
models were trained and measured.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import Truncate
from jobs.errors import InputTooLong, InvalidInput
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer
from workers.runners.vision.image_tokens import Look, grids_of, refuse_marks
from workers.runners.vision.images import decode
from workers.runners.vision.mixed_input import PageItem

QUERY_PREFIX = "Query: "
ASKED = "Describe the image."


class Words(NamedTuple):
    """A family's. augmentation: what follows a query, room for the model to think of more than it says. page_before,
    page_after: around a page's pictures and texts. marks: what stands for pictures, the image token's first.
    """

    query_prefix: str
    augmentation: str
    page_before: str
    page_after: str
    marks: tuple[str, ...]


class PagePrompts:
    """Any thread may use it: nothing runs on the device."""

    def __init__(
        self,
        tokenizer: Path,
        words: Words,
        look: Callable[[Image.Image], Look],
        *,
        max_tokens: int,
        vocab_size: int,
        image_token: int,
    ) -> None:
        """tokenizer: tokenizer.json. look: of an RGB picture. Raises InvalidInput."""
        whole = ModelTokenizer(tokenizer, max_tokens, vocab_size)
        self._augmentation = next(whole.encode([words.augmentation]))
        if next(whole.encode([words.marks[0]])).tolist() != [image_token]:
            raise InvalidInput(f"{tokenizer} knows no {words.marks[0]}, or by another id.", param="model")
        self._pages = whole
        self._texts = ModelTokenizer(tokenizer, max_tokens - len(self._augmentation), vocab_size)
        self._words = words
        self._look = look
        self._image_token = image_token

    def text(self, value: str | tuple[int, ...], *, is_query: bool, truncate: Truncate) -> PageItem:
        """Raises InvalidInput."""
        prefix = self._words.query_prefix if is_query else ""
        ids, prefix_tokens = self._read(value, prefix, truncate)
        if len(ids) == 0:
            raise InvalidInput("the text is empty, and this model reads nothing of it.", param="input")
        if len(ids) > self._texts.max_tokens:
            ids = self._texts.cut(ids, prefix_tokens, truncate)
        return PageItem(np.concatenate((ids, self._augmentation)) if is_query else ids)

    def page(self, page: MixedInput) -> PageItem:
        """A page with pictures. Raises InvalidInput."""
        texts = [part.text for part in page.parts if isinstance(part, TextPart)]
        self._pages.check_page(texts)
        refuse_marks("".join(texts), self._words.marks)
        looks = {
            place: self._look(decode(part.data, "input"))
            for place, part in enumerate(page.parts)
            if isinstance(part, ImagePart)
        }
        inner = [
            part.text if isinstance(part, TextPart) else looks[place].text
            for place, part in enumerate(page.parts)
        ]
        if not any(texts):  # a page that says nothing itself gets the words of training
            inner.append(ASKED)
        ids = next(self._pages.encode([self._words.page_before + "".join(inner) + self._words.page_after]))
        if len(ids) > self._pages.max_tokens:
            raise InputTooLong(
                f"the page has {len(ids)} tokens, and the model reads at most {self._pages.max_tokens}.",
                param="input",
            )
        found = list(looks.values())
        return PageItem(ids, tuple(look.pixels for look in found), grids_of(ids, found, self._image_token))

    def _read(self, value: str | tuple[int, ...], prefix: str, truncate: Truncate) -> tuple[Ids, int]:
        """The text's ids with the prefix, and how many of them are the prefix (where it is needed for a cut)."""
        if not isinstance(value, str):
            if self._image_token in value:
                raise InvalidInput("the token ids hold the one that stands for a picture.", param="input")
            return self._texts.wrap(self._texts.shortened_ids(value, truncate), prefix)
        refuse_marks(value, self._words.marks)
        value = self._texts.shortened(value, truncate, prefix)
        ids = next(self._texts.encode([prefix + value]))
        if len(ids) <= self._texts.max_tokens or truncate == "none":
            return ids, 0
        return ids, self._texts.prompt_tokens(prefix, value)


def texts_of(page: MixedInput) -> str:
    """The words of a page without pictures."""
    return "\n".join(part.text for part in page.parts if isinstance(part, TextPart))
