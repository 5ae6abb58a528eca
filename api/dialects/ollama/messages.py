"""The messages of Ollama's chat: read, checked, and turned into a job's."""

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from api.requests.images import ImageReference, ImageSource, load_images
from api.requests.tools import earlier_arguments
from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Message, ToolCall


class OllamaFunction(msgspec.Struct, frozen=True, kw_only=True):
    """arguments: an object; what else a model has written is shown to the template as it is."""

    name: str
    arguments: Any = None


class OllamaCall(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None
    function: OllamaFunction


class OllamaMessage(msgspec.Struct, frozen=True, kw_only=True):
    """images: base64. tool_name, tool_call_id: which call a message of role "tool" answers."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | None = None
    thinking: str | None = None
    images: tuple[str, ...] | None = None
    tool_calls: tuple[OllamaCall, ...] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OpenCalls:
    """Calls that no message has answered yet, in their order. Messages need not say by id which one they answer.

    A chat may have as many calls as fit into a body, so each step takes constant time.
    """

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[int, str] = {}  # ids, by the calls' indices
        self._by_id: dict[str, list[int]] = defaultdict(list)
        # Answered calls stay in these until they come first. None: calls of any name.
        self._by_name: dict[str | None, deque[int]] = defaultdict(deque)

    def add(self, call: ToolCall) -> None:
        """A call that the assistant made."""
        self._open[self._count] = call.id
        self._by_id[call.id].append(self._count)
        for name in (None, call.name):
            self._by_name[name].append(self._count)
        self._count += 1

    def answer(self, call_id: str) -> None:
        """Nothing happens where no such call is open."""
        for index in self._by_id.pop(call_id, ()):
            self._open.pop(index, None)

    def answer_first(self, name: str | None) -> str | None:
        """The id of the first open call of a name, or of any; None where there is none."""
        waiting: deque[int] = self._by_name.get(name, deque())
        while waiting:
            found = self._open.pop(waiting.popleft(), None)
            if found is not None:
                return found
        return None


async def ollama_messages(given: Sequence[OllamaMessage], source: ImageSource | None) -> tuple[Message, ...]:
    """The messages as the job holds them. Raises InvalidInput."""
    for index, message in enumerate(given):
        if message.tool_calls and message.role != "assistant":
            raise InvalidInput(
                f"messages[{index}].tool_calls: only an assistant calls tools.", param="messages"
            )
    references = [
        ImageReference(text, f"messages[{index}].images[{image_index}]")
        for index, message in enumerate(given)
        for image_index, text in enumerate(message.images or ())
    ]
    images = iter(await load_images(references, source))
    open_calls = OpenCalls()
    return tuple(_message(index, message, images, open_calls) for index, message in enumerate(given))


def parts_of(
    text: str, images: Iterator[bytes], given: Sequence[str] | None
) -> tuple[TextPart | ImagePart, ...]:
    """Images go before the text, as Ollama puts them. images: as many are taken as are given."""
    return (*(ImagePart(next(images)) for _ in given or ()), *((TextPart(text),) if text else ()))


def _message(index: int, message: OllamaMessage, images: Iterator[bytes], open_calls: OpenCalls) -> Message:
    """open_calls: the calls that no message has answered yet; this message changes them."""
    calls = tuple(
        ToolCall(
            id=call.id or f"call_{index}_{call_index}",
            name=call.function.name,
            arguments=earlier_arguments(call.function.arguments, "messages"),
        )
        for call_index, call in enumerate(message.tool_calls or ())
    )
    for call in calls:
        open_calls.add(call)
    return Message(
        role=message.role,
        content=parts_of(message.content or "", images, message.images),
        reasoning=message.thinking or "",
        tool_calls=calls,
        tool_call_id=_answered(message, open_calls) if message.role == "tool" else None,
        name=message.tool_name,
    )


def _answered(message: OllamaMessage, open_calls: OpenCalls) -> str | None:
    """The id of the call that a tool's message answers: what it says, else the first open one of its name."""
    if message.tool_call_id is None:
        return open_calls.answer_first(message.tool_name)
    open_calls.answer(message.tool_call_id)
    return message.tool_call_id
