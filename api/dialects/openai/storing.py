"""A chat with store = true: kept with its answer, so that it can be asked for later."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from api.dialects.openai.chat import ChatRequest
from api.dialects.openai.messages import ChatMessage
from api.work.terms import Terms
from jobs.chats.chat import ChatHead, StoredChat
from jobs.chats.store import ChatStore
from jobs.errors import InvalidInput

Metadata = Annotated[
    dict[
        Annotated[str, msgspec.Meta(min_length=1, max_length=64)],
        Annotated[str, msgspec.Meta(max_length=512)],
    ],
    msgspec.Meta(max_length=16),
]
"""OpenAI's own limits."""


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a stored chat, as it was sent. content: null where it was parts, which are in content_parts."""

    id: str
    role: str
    content: str | None
    content_parts: Any | None
    name: str | None = None
    refusal: str | None = None
    tool_calls: Any | None = None
    tool_call_id: str | None = None


class Storing(NamedTuple):
    """What will be stored once the answer is there."""

    store: ChatStore
    model: str
    metadata: dict[str, str]
    messages: Sequence[ChatMessage]

    async def keep(self, job_id: str, reply: bytes) -> None:
        """reply: JSON, as the caller gets it. Raises QueueUnavailable."""
        head = ChatHead(job_id, self.model, self.metadata)
        messages = [_stored(message, f"{job_id}-{turn}") for turn, message in enumerate(self.messages)]
        await self.store.keep(StoredChat(head, reply), msgspec.json.encode(messages))


async def storing(asked: ChatRequest, terms: Terms, store: ChatStore) -> Storing | None:
    """None where the chat is not to be stored. Raises InvalidInput where it cannot be, ChatsFull, QueueUnavailable."""
    if not asked.store:
        return None
    if terms.respond_async:
        refuse_to_store(asked)
    metadata = read_metadata(asked.metadata)
    await store.check_room(len(msgspec.json.encode(asked.messages)))
    return Storing(store, asked.model, metadata, asked.messages)


def refuse_to_store(asked: ChatRequest) -> None:
    """For a chat that nobody waits for. Raises InvalidInput."""
    if asked.store:
        raise InvalidInput(
            "store: only a chat whose answer is waited for is stored. A job's result is kept by itself, for its "
            "Result-TTL.",
            param="store",
        )


def read_metadata(given: Any) -> dict[str, str]:
    """Raises InvalidInput where they are not OpenAI's."""
    try:
        return msgspec.convert({} if given is None else given, Metadata)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            f"metadata: at most 16 pairs of texts, of 64 and 512 characters: {error}.", param="metadata"
        ) from error


def _stored(message: ChatMessage, message_id: str) -> StoredMessage:
    is_text = isinstance(message.content, str)
    parts = msgspec.to_builtins(message.content) if isinstance(message.content, tuple) else None
    return StoredMessage(
        id=message_id,
        role=message.role,
        content=str(message.content) if is_text else None,
        content_parts=parts and [_without_nulls(part) for part in parts],
        name=message.name,
        refusal=message.refusal,
        tool_calls=msgspec.to_builtins(message.tool_calls),
        tool_call_id=message.tool_call_id,
    )


def _without_nulls(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None}
