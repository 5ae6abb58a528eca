"""What a vision model reads: chats and prompts whose pictures are where their author put them."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx_lm.tokenizer_utils import TokenizerWrapper
from PIL import Image

from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, Message, Prompt
from workers.runners.generate.prompts import Reading, prompt_ids, render
from workers.runners.vision.images import decode

Content = Callable[[Message], Any]

_ASKED = Message("user", (ImagePart(b""), TextPart("first"), ImagePart(b""), TextPart("second")))


class Placing(NamedTuple):
    """How a model's template takes pictures. mark: what stands for one in the text; None where it takes none."""

    content: Content
    mark: str | None


class PicturePrompts:
    """Any thread may use it: mlx-vlm's processors give MLX arrays, which most only copy from what NumPy computed, while
    a few (DeepSeek's) also turn and stack them, in the thread that calls.

    processor: of transformers' kind, a call of (text, images) that puts each picture's tokens in the place of its mark.
    image_ids: the token ids that stand for pictures, of which a prompt must not end with one.
    """

    def __init__(
        self, tokenizer: TokenizerWrapper, processor: Any, image_ids: Sequence[int], vocab_size: int
    ) -> None:
        self._tokenizer = tokenizer
        self._processor = processor
        self._image_ids = frozenset(image_ids)
        self._vocab_size = vocab_size
        self._marks = _marks(tokenizer, processor, image_ids)
        self._placing = find_placing(tokenizer, self._marks)
        self._frame = find_frame(tokenizer, self._placing)

    @property
    def takes_pictures(self) -> bool:
        return self._placing.mark is not None

    def read(self, job: GenerateJob) -> Reading:
        """The job's prompt. prompt tokens include those of the pictures. Raises InvalidInput."""
        if isinstance(job.prompt, Chat):
            return self._chat(job.prompt)
        if job.prompt.images:
            return self._pictured(self._marked(job.prompt), job.prompt.images, "images", whole=False)
        return Reading(prompt_ids(self._tokenizer, job, self._vocab_size))

    def text_of(self, chat: Chat) -> str:
        """The chat as the model's template writes it, with a mark for each picture. Raises InvalidInput."""
        return str(render(self._tokenizer, chat, self._placing.content, tokenize=False))

    def page(self, parts: Sequence[str | Image.Image], param: str) -> Reading:
        """Decoded pictures and texts in their order, outside of any chat. Raises InvalidInput, naming `param`."""
        if self._placing.mark is None:
            raise InvalidInput("This model's chat template has no place for an image.", param=param)
        self._refuse_marks([part for part in parts if isinstance(part, str)], param)
        pictures = [part for part in parts if isinstance(part, Image.Image)]
        text = "".join(part if isinstance(part, str) else self._frame for part in parts)
        return self._processed(text, pictures, param, whole=False)

    def _chat(self, chat: Chat) -> Reading:
        pictures = [
            part.data for message in chat.messages for part in message.content if isinstance(part, ImagePart)
        ]
        if pictures and self._placing.mark is None:
            raise InvalidInput("This model's chat template has no place for an image.", param="messages")
        texts = [
            part.text for message in chat.messages for part in message.content if isinstance(part, TextPart)
        ]
        self._refuse_marks(texts, "messages")
        if pictures:
            text = str(render(self._tokenizer, chat, self._placing.content, tokenize=False))
            return self._pictured(text, pictures, "messages", whole=self._tokenizer.has_chat_template)
        found = render(self._tokenizer, chat, self._placing.content, tokenize=True)
        ids = self._tokenizer.encode(found) if isinstance(found, str) else found
        if not ids:
            raise InvalidInput("The prompt is empty.", param="messages")
        return Reading(list(ids))

    def _refuse_marks(self, texts: Sequence[str], param: str) -> None:
        """A mark in a text would take the place of a picture."""
        for mark in self._marks:
            if any(mark in text for text in texts):
                raise InvalidInput(
                    f"A text holds {mark}, which stands for an image to this model.", param=param
                )

    def _marked(self, prompt: Prompt) -> str:
        """The prompt's text with a mark for each of its images: its own marks, or else all before the text."""
        mark = self._placing.mark or next(iter(self._marks), None)
        if mark is None or not isinstance(prompt.content, str):
            raise InvalidInput(
                "With images, the prompt must be text, and the model must have a mark for an image.",
                param="prompt",
            )
        return prompt.content if mark in prompt.content else mark * len(prompt.images) + prompt.content

    def _pictured(self, text: str, encoded: Sequence[bytes], param: str, *, whole: bool) -> Reading:
        """whole: the text has its special tokens, such as that of the beginning."""
        mark = self._placing.mark or self._marks[0]
        if text.count(mark) != len(encoded):
            raise InvalidInput(
                f"The prompt has {text.count(mark)} places for its {len(encoded)} images.", param=param
            )
        found = self._processed(text, [decode(each, param) for each in encoded], param, whole=whole)
        if found.ids[-1] in self._image_ids:
            raise InvalidInput("Text must follow the last image.", param=param)
        return found

    def _processed(self, text: str, pictures: list[Image.Image], param: str, *, whole: bool) -> Reading:
        found = self._process(text, pictures, param, whole=whole)
        ids = [int(token) for token in np.asarray(found.pop("input_ids")).reshape(-1)]
        found.pop("attention_mask", None)  # of one prompt: all ones
        return Reading(ids, {name: _plain(value) for name, value in found.items()})

    def _process(self, text: str, pictures: list[Image.Image], param: str, *, whole: bool) -> dict[str, Any]:
        call = getattr(self._processor, "process", self._processor)
        options: dict[str, Any] = {"text": [text], "images": pictures, "return_tensors": "np"}
        taken = inspect.signature(call).parameters
        if "add_special_tokens" in taken or any(each.kind is each.VAR_KEYWORD for each in taken.values()):
            options["add_special_tokens"] = not whole
        try:
            found = dict(call(**options))
        except Exception as error:
            # Processors are the models' makers' own code; what they do not take, they refuse in many ways.
            raise InvalidInput(f"The model cannot take these images: {error}.", param=param) from error
        if "pixel_values" not in found and "images" in found:
            found["pixel_values"] = found.pop("images")
        return found


def find_placing(tokenizer: TokenizerWrapper, marks: Sequence[str]) -> Placing:
    """How the template wants a message's content, found out by rendering one: as parts, or as text with marks.

    A way that keeps pictures and texts in their order is best; some templates (LLaVA's) put a message's pictures first.
    """
    ways: list[tuple[str, Content]] = [(mark, _parts) for mark in marks]
    ways += [(mark, _text_with(mark)) for mark in marks]
    found = [(mark, content, _rendered(tokenizer, content, mark)) for mark, content in ways]
    orders = ("MfirstMsecond", "MMfirstsecond")
    for order in orders:
        for mark, content, text in found:
            if text == order:
                return Placing(content, mark)
    return Placing(_text_with(""), None)


def find_frame(tokenizer: TokenizerWrapper, placing: Placing) -> str:
    """A picture's mark with what the template puts around it, such as Qwen's token of a picture's beginning."""
    mark = placing.mark or ""
    between = _asked(tokenizer, placing.content).partition("first")[2].partition("second")[0]
    return between if mark and mark in between else mark


def _asked(tokenizer: TokenizerWrapper, content: Content) -> str:
    """Two pictures and two texts in the template; "" where it takes no such content."""
    try:
        text = str(render(tokenizer, Chat((_ASKED,)), content, tokenize=False))
    except InvalidInput:
        return ""
    return "" if "'type'" in text else text  # printed as Python prints a list


def _rendered(tokenizer: TokenizerWrapper, content: Content, mark: str) -> str:
    """What is left of two pictures and two texts: M for each mark, and the texts, in their order."""
    text = _asked(tokenizer, content)
    pieces = re.findall(f"{re.escape(mark)}|first|second", text)
    return "".join("M" if piece == mark else piece for piece in pieces)


def _marks(tokenizer: TokenizerWrapper, processor: Any, image_ids: Sequence[int]) -> list[str]:
    """What may stand for a picture in a text, the likeliest first."""
    named = [getattr(processor, name, None) for name in ("boi_token", "image_token")]
    known = [tokenizer.convert_ids_to_tokens(token) for token in image_ids]
    return list(dict.fromkeys(mark for mark in [*named, *known] if isinstance(mark, str) and mark))


def _parts(message: Message) -> list[dict[str, str]]:
    return [
        {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image"}
        for part in message.content
    ]


def _text_with(mark: str) -> Content:
    return lambda message: "".join(
        part.text if isinstance(part, TextPart) else mark for part in message.content
    )


def _plain(value: Any) -> Any:
    """MLX arrays belong to the device's thread."""
    if isinstance(value, mx.array):
        return np.array(value.astype(mx.float32) if value.dtype == mx.bfloat16 else value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
