"""Texts and pages as Qwen3-VL-Embedding reads them: as a user's turn, after a system's that says what to make of it.

The words are the published code's (https://github.com/QwenLM/Qwen3-VL-Embedding, src/models/qwen3_vl_embedding.py),
which puts them into Qwen3-VL's chat template and asks for an answer; the last token of that is what the vector is of.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jobs.content import MixedInput, TextPart
from jobs.embed import Truncate
from jobs.errors import InputTooLong, InvalidInput
from workers.runners.tokens.tokenizer import Ids, ModelTokenizer
from workers.runners.vision.image_tokens import QWEN_MARKS, Look, grids_of, look, refuse_marks
from workers.runners.vision.images import decode
from workers.runners.vision.mixed_input import PageItem
from workers.runners.vision.patches import Cut

INSTRUCTION = "Represent the user's input."
EMPTY = "NULL"
"""What the model was trained to read where there is nothing."""
TAIL = "<|im_end|>\n<|im_start|>assistant\n"


class TurnPrompts:
    """Any thread may use it: nothing runs on the device."""

    def __init__(
        self, tokenizer: Path, cut: Cut, *, max_tokens: int, vocab_size: int, image_token: int
    ) -> None:
        """tokenizer: tokenizer.json. Raises InvalidInput."""
        self._tokenizer = ModelTokenizer(tokenizer, max_tokens, vocab_size)
        if self._tokenizer.token_id(QWEN_MARKS[0]) != image_token:
            raise InvalidInput(f"{tokenizer} knows no {QWEN_MARKS[0]}, or by another id.", param="model")
        self._marks = [token for mark in QWEN_MARKS if (token := self._tokenizer.token_id(mark)) is not None]
        behind = len(self._tokenizer.prefix), len(self._tokenizer.suffix)
        whole = next(self._tokenizer.encode([TAIL]))
        self._tail = whole[behind[0] : len(whole) - behind[1]]
        self._cut = cut
        self._image_token = image_token

    def text(self, value: str | tuple[int, ...], system: str, truncate: Truncate) -> PageItem:
        """system: the words of the system's turn. Raises InvalidInput."""
        head = _head(system)
        if isinstance(value, str):
            refuse_marks(value, QWEN_MARKS)
            value = self._tokenizer.shortened(value or EMPTY, truncate, head)
            ids, before = next(self._tokenizer.encode([head + value + TAIL])), None
        else:
            self._check_ids(value)
            ids, before = self._wrapped(self._tokenizer.shortened_ids(value, truncate), head)
        if len(ids) > self._tokenizer.max_tokens:
            if before is None:
                before = self._tokenizer.prompt_tokens(head, str(value)) if truncate != "none" else 0
            ids = self._tokenizer.cut(ids, before, truncate, tail_tokens=len(self._tail))
        return PageItem(ids)

    def page(self, page: MixedInput, system: str) -> PageItem:
        """Pictures and texts in their order, with nothing between them. system: the words of the system's turn. Raises
        InvalidInput.
        """
        texts = [part.text for part in page.parts if isinstance(part, TextPart)]
        self._tokenizer.check_page(texts)
        refuse_marks("".join(texts), QWEN_MARKS)
        looks: list[Look] = []
        content = ""
        for part in page.parts:
            if isinstance(part, TextPart):
                content += part.text
            else:
                looks.append(look(decode(part.data, "input"), self._cut))
                content += looks[-1].text
        ids = next(self._tokenizer.encode([_head(system) + content + TAIL]))
        if len(ids) > self._tokenizer.max_tokens:
            raise InputTooLong(
                f"the page has {len(ids)} tokens, and the model reads at most {self._tokenizer.max_tokens}.",
                param="input",
            )
        return PageItem(ids, tuple(each.pixels for each in looks), grids_of(ids, looks, self._image_token))

    def _check_ids(self, value: Sequence[int]) -> None:
        """Raises InvalidInput."""
        if not value:
            raise InvalidInput("the list of token ids is empty.", param="input")
        if any(mark in value for mark in self._marks):
            raise InvalidInput("the token ids hold the one that stands for a picture.", param="input")

    def _wrapped(self, value: Sequence[int], head: str) -> tuple[Ids, int]:
        """A caller's token ids in their turn, and how many tokens are before them."""
        ids, before = self._tokenizer.wrap(value, head)
        end = len(ids) - len(self._tokenizer.suffix)
        return np.concatenate((ids[:end], self._tail, ids[end:])), before


def system_words(instruction: str | None) -> str:
    """An instruction as the model was trained with: a sentence that ends like one. Raises InvalidInput."""
    sentence = (instruction or "").strip()
    if found := [mark for mark in QWEN_MARKS if mark in sentence]:
        raise InvalidInput(
            f"The instruction holds {found[0]}, which stands for an image to this model.", param="instruction"
        )
    if not sentence:
        return INSTRUCTION
    return sentence if unicodedata.category(sentence[-1]).startswith("P") else f"{sentence}."


def _head(system: str) -> str:
    return f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n"
