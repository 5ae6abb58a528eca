"""OpenAI's stored chats: what store = true keeps, and GET, POST and DELETE under /v1/chat/completions."""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.dialects.dialect import Dialect, json_response
from api.dialects.openai.chat import CHAT_PREFIX, ChatReply, ChatRequest
from api.dialects.openai.messages import ChatMessage
from api.errors import BodyTooLarge
from api.openapi.operation import ASKS, Operation, reading
from api.requests.body import decode_body, decode_query
from api.route import add_route
from api.work.terms import Terms
from jobs.chats.chat import PAGE_BYTES, ChatHead, ChatQuery, ChatsFull, StoredChat, UnknownChat
from jobs.chats.store import ChatStore
from jobs.errors import InvalidInput, Overloaded

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
    function_call: Any | None = None
    tool_call_id: str | None = None


class Storing(NamedTuple):
    """What will be stored once the answer is there."""

    store: ChatStore
    model: str
    metadata: dict[str, str]
    messages: Sequence[ChatMessage]

    async def keep(self, job_id: str, reply: bytes) -> None:
        """reply: JSON, as the caller gets it. Raises ChatsFull, QueueUnavailable."""
        head = ChatHead(job_id, self.model, self.metadata)
        messages = await asyncio.to_thread(_encode_messages, self.messages, job_id)
        await self.store.keep(StoredChat(head, reply), messages)


async def storing(asked: ChatRequest, terms: Terms, store: ChatStore) -> Storing | None:
    """None where the chat is not to be stored. Raises InvalidInput where it cannot be, ChatsFull, QueueUnavailable."""
    if not asked.store:
        return None
    if terms.respond_async:
        refuse_to_store(asked)
    metadata = read_metadata(asked.metadata)
    await store.check_room(len(await asyncio.to_thread(msgspec.json.encode, asked.messages)))
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


def _encode_messages(messages: Sequence[ChatMessage], job_id: str) -> bytes:
    return msgspec.json.encode(
        [_stored(message, f"{job_id}-{turn}") for turn, message in enumerate(messages)]
    )


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
        function_call=msgspec.to_builtins(message.function_call),
        tool_call_id=message.tool_call_id,
    )


def _without_nulls(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if value is not None}


_ID = re.compile(rf"{CHAT_PREFIX}([0-9a-f]{{31}})")
"""Of jobs that the server made."""
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,80}")
_FILTER = re.compile(r"metadata\[(.*)\]", re.DOTALL)

Order = Literal["asc", "desc"]
Limit = Annotated[int, msgspec.Meta(ge=1, le=100)]


class StoredChatReply(ChatReply, frozen=True, kw_only=True):
    """A chat completion as it was answered, with its metadata."""

    metadata: dict[str, str]


class StoredChatList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[StoredChatReply]
    first_id: str | None
    last_id: str | None
    has_more: bool


class StoredMessageList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[StoredMessage]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedChat(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: Literal["chat.completion.deleted"] = "chat.completion.deleted"
    deleted: bool = True


class StoredChatsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """after: the id of the last chat of the page before. metadata: for any number of names."""

    after: str | None = None
    limit: Limit = 20
    model: str | None = None
    order: Order = "asc"
    metadata: str | None = msgspec.field(default=None, name="metadata[name]")


class StoredMessagesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """after: the id of the last message of the page before."""

    after: str | None = None
    limit: Limit = 20
    order: Order = "asc"


class UpdateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """metadata: take the place of all that are there; null for none."""

    metadata: Metadata | None


_LIST = reading("openai", StoredChatList, InvalidInput, query=StoredChatsQuery)
_RETRIEVE = reading("openai", StoredChatReply, UnknownChat)
_MESSAGES = reading("openai", StoredMessageList, InvalidInput, UnknownChat, query=StoredMessagesQuery)
_UPDATE = Operation(
    "POST",
    "openai",
    {200: (StoredChatReply,)},
    (InvalidInput, ChatsFull, UnknownChat, BodyTooLarge, Overloaded, *ASKS),
    body=(UpdateRequest,),
)
_DELETE = Operation("DELETE", "openai", {200: (DeletedChat,)}, (UnknownChat, *ASKS))

_update_decoder = msgspec.json.Decoder(UpdateRequest)
_decode_messages = msgspec.json.Decoder(list[StoredMessage]).decode


class StoredChats(Dialect):
    """/v1/chat/completions and what is under it."""

    def add_routes(self, app: FastAPI) -> None:
        path = "/v1/chat/completions"
        add_route(app, path, self.list_stored_chats, _LIST)
        add_route(app, f"{path}/{{completion_id}}", self.retrieve_stored_chat, _RETRIEVE)
        add_route(app, f"{path}/{{completion_id}}", self.update_stored_chat, _UPDATE)
        add_route(app, f"{path}/{{completion_id}}", self.delete_stored_chat, _DELETE)
        add_route(app, f"{path}/{{completion_id}}/messages", self.list_stored_messages, _MESSAGES)

    async def list_stored_chats(self, request: Request) -> Response:
        """Chats that were created with store = true, oldest first."""
        query = decode_query(request, StoredChatsQuery)
        after = None
        if query.after is not None:
            match = _ID.fullmatch(query.after)
            if match is None:
                raise InvalidInput("after: must be the id of a stored chat.", param="after")
            after = match[1]
        page = await self.context.queue.chats.page(
            ChatQuery(
                after=after,
                limit=query.limit,
                descending=query.order == "desc",
                model=query.model,
                metadata=_filters(request),
            )
        )
        ids = [CHAT_PREFIX + chat.head.id for chat in page.chats]
        return _page([msgspec.Raw(_encode(chat)) for chat in page.chats], ids, has_more=page.has_more)

    async def retrieve_stored_chat(self, request: Request) -> Response:
        """One stored chat."""
        return json_response(_encode(await self.context.queue.chats.read(_chat_id(request))))

    async def update_stored_chat(self, request: Request) -> Response:
        """Gives a stored chat other metadata."""
        asked = decode_body(_update_decoder, await self.read_raw(request))
        metadata = read_metadata(asked.metadata)
        return json_response(_encode(await self.context.queue.chats.label(_chat_id(request), metadata)))

    async def delete_stored_chat(self, request: Request) -> Response:
        """Deletes a stored chat."""
        chat_id = _chat_id(request)
        await self.context.queue.chats.delete(chat_id)
        return json_response(msgspec.json.encode(DeletedChat(id=CHAT_PREFIX + chat_id)))

    async def list_stored_messages(self, request: Request) -> Response:
        """The messages that a stored chat was asked with, in their order."""
        query = decode_query(request, StoredMessagesQuery)
        if query.after is not None and not _MESSAGE_ID.fullmatch(query.after):
            raise InvalidInput("after: must be the id of a message.", param="after")
        stored = await self.context.queue.chats.messages(_chat_id(request))
        return await asyncio.to_thread(_messages_page, stored, query)


def _messages_page(stored: bytes, query: StoredMessagesQuery) -> Response:
    """As many as are asked for, up to PAGE_BYTES."""
    found = _decode_messages(stored)
    if query.order == "desc":
        found.reverse()
    begin = next((n for n, each in enumerate(found, 1) if each.id == query.after), 0)
    if query.after is not None and not begin:
        raise InvalidInput("after: the chat has no such message.", param="after")
    shown, size_bytes = list[msgspec.Raw](), 0
    for message in found[begin : begin + query.limit]:
        encoded = msgspec.json.encode(message)
        size_bytes += len(encoded)
        if shown and size_bytes > PAGE_BYTES:
            break
        shown.append(msgspec.Raw(encoded))
    end = begin + len(shown)
    return _page(shown, [each.id for each in found[begin:end]], has_more=len(found) > end)


def _filters(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if match := _FILTER.fullmatch(name):
            found[match[1]] = value
    return found


def _chat_id(request: Request) -> str:
    """Raises UnknownChat for what cannot be an id: it would become part of a Redis key."""
    match = _ID.fullmatch(request.path_params["completion_id"])
    if match is None:
        raise UnknownChat
    return match[1]


def _encode(chat: StoredChat) -> bytes:
    """The reply as it was, and the metadata as they are."""
    return b'%b,"metadata":%b}' % (chat.reply[:-1], msgspec.json.encode(chat.head.metadata))


def _page(data: Sequence[Any], ids: Sequence[str], *, has_more: bool) -> Response:
    return json_response(
        msgspec.json.encode(
            {
                "object": "list",
                "data": data,
                "first_id": ids[0] if ids else None,
                "last_id": ids[-1] if ids else None,
                "has_more": has_more,
            }
        )
    )
