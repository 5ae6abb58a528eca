# pyright: reportUnknownMemberType=false
"""Stored chats in Redis: compressed, within a bound, and for a time only.

A chat is a hash: its head, and its reply and its messages in parts. The ids of all are in one sorted set, in the order
of their time; another hash has their bytes, and a key has the sum.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple

import msgspec
import redis.asyncio
import zstandard
from redis.commands.core import AsyncScript

from jobs.chats.chat import (
    PAGE_BYTES,
    ChatHead,
    ChatPage,
    ChatQuery,
    ChatsFull,
    StoredChat,
    UnknownChat,
    chats_full,
)
from jobs.errors import QueueUnavailable
from jobs.results.encoding import parts_of
from jobs.store import keys, record
from jobs.store.scripts import script

OVERHEAD_BYTES = 512
"""What a chat counts for besides its bytes: Redis keeps some for each."""

AT_ONCE = 250
"""Heads that are read in one pipeline."""

NEW_TTL_S = 300
"""For the parts of a chat until it is stored: where that fails, they are not counted."""

_HEAD, _REPLY, _MESSAGES = "head", "reply:", "messages:"

_decode_head = msgspec.msgpack.Decoder(ChatHead).decode


class ChatLimits(NamedTuple):
    """How much is stored, and for how long."""

    max_bytes: int
    """Of all chats together, compressed."""
    ttl_s: int


class RedisChats:
    """A jobs.chats.store.ChatStore. One per process."""

    def __init__(
        self,
        connection: redis.asyncio.Redis,
        limits: ChatLimits,
        reaching_redis: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        """reaching_redis: makes QueueUnavailable of what Redis raises in it."""
        self._redis = connection
        self._limits = limits
        self._reaching_redis = reaching_redis
        self._room = connection.register_script(script("chat_room"))
        self._keep = connection.register_script(script("keep_chat"))
        self._label = connection.register_script(script("label_chat"))
        self._delete = connection.register_script(script("delete_chat"))

    async def check_room(self, size_bytes: int) -> None:
        """Before a chat is answered. size_bytes: of its messages. Raises ChatsFull."""
        await self._check_room(size_bytes, "store")

    async def keep(self, chat: StoredChat, messages: bytes) -> None:
        """Store a chat, unless it is stored already or was deleted: its request may be repeated. messages: JSON.

        Raises ChatsFull where others took the room meanwhile.
        """
        fields = await asyncio.to_thread(
            lambda: {**_parts(_REPLY, chat.reply), **_parts(_MESSAGES, messages)}
        )
        head, key = record.pack(chat.head), keys.new_chat(uuid.uuid4().hex)
        size_bytes = OVERHEAD_BYTES + len(head) + sum(map(len, fields.values()))
        async with self._reaching_redis():
            for name, value in fields.items():  # one by one: each part holds Redis up for a moment
                pipeline = self._redis.pipeline(transaction=True)
                pipeline.hset(key, name, value)  # pyright: ignore[reportArgumentType]: bytes are a value, too
                pipeline.expire(key, NEW_TTL_S)
                await pipeline.execute()
        max_bytes, ttl_s = self._limits
        args = [chat.head.id, key, len(fields), head, size_bytes, max_bytes, ttl_s]
        while (verdict := await self._run(self._keep, args)) == "full":
            try:
                await self._check_room(size_bytes, "store")
            except ChatsFull:
                async with self._reaching_redis():
                    await self._redis.unlink(key)
                raise
        if verdict == "lost":
            raise QueueUnavailable(
                "Redis lost a part of a chat before it was stored. Send the request again."
            )

    async def read(self, chat_id: str) -> StoredChat:
        """Raises UnknownChat."""
        async with self._reaching_redis():
            head = await self._hget(chat_id, _HEAD)
            if head is None:
                raise UnknownChat
            return await self._with_reply(_decode_head(head))

    async def messages(self, chat_id: str) -> bytes:
        """JSON, as they were kept. Raises UnknownChat."""
        async with self._reaching_redis():
            return await self._joined(chat_id, _MESSAGES)

    async def page(self, query: ChatQuery) -> ChatPage:
        """Those that a query asks for, up to PAGE_BYTES of replies. The chat `after` may be gone."""
        found: list[ChatHead] = []
        after = query.after
        async with self._reaching_redis():
            while len(found) <= query.limit:
                ids = await self._ids(after, descending=query.descending)
                found += [head for head in await self._heads(ids) if query.takes(head)]
                if len(ids) < AT_ONCE:
                    break
                after = ids[-1]
            chats, size_bytes = list[StoredChat](), 0
            for head in found[: query.limit]:
                chat = await self._if_there(head)
                size_bytes += len(chat.reply) if chat else 0
                if chats and size_bytes > PAGE_BYTES:
                    return ChatPage(tuple(chats), has_more=True)
                chats += [chat] if chat else []
        return ChatPage(tuple(chats), len(found) > query.limit)

    async def label(self, chat_id: str, metadata: dict[str, str]) -> StoredChat:
        """Give a chat other metadata. Raises UnknownChat, ChatsFull."""
        found = await self.read(chat_id)
        head = msgspec.structs.replace(found.head, metadata=metadata)
        args = [chat_id, packed := record.pack(head), self._limits.max_bytes]
        while (verdict := await self._run(self._label, args)) == "full":
            await self._check_room(len(packed) - len(record.pack(found.head)), "metadata")
        if verdict == "gone":
            raise UnknownChat
        return StoredChat(head, found.reply)

    async def delete(self, chat_id: str) -> None:
        """Raises UnknownChat."""
        async with self._reaching_redis():
            if not await self._delete(args=[chat_id]):
                raise UnknownChat

    async def _check_room(self, size_bytes: int, param: Literal["store", "metadata"]) -> None:
        """Forgets chats that are too old until there is room. Raises ChatsFull."""
        oldest = record.id_of_time(time.time() - self._limits.ttl_s)
        while True:
            async with self._reaching_redis():
                forgotten, used = await self._room(args=[oldest])
            if used + size_bytes <= self._limits.max_bytes:
                return
            if not forgotten:
                raise chats_full(used, self._limits.max_bytes, param)

    async def _run(self, script: AsyncScript, args: list[Any]) -> str:
        """What a script says of one chat."""
        async with self._reaching_redis():
            return (await script(args=args)).decode()

    async def _ids(self, after: str | None, *, descending: bool) -> list[str]:
        """The next ids, AT_ONCE of them unless the list ends."""
        oldest = "[" + record.id_of_time(time.time() - self._limits.ttl_s)
        if descending:
            top = "+" if after is None else f"({after}"
            found: Any = await self._redis.zrevrangebylex(keys.CHATS, top, oldest, 0, AT_ONCE)
        else:
            bottom = oldest if after is None else max(oldest, f"({after}", key=lambda bound: bound[1:])
            found = await self._redis.zrangebylex(keys.CHATS, bottom, "+", 0, AT_ONCE)
        return keys.names(found)

    async def _heads(self, ids: Sequence[str]) -> list[ChatHead]:
        """Of those that are still there."""
        pipeline = self._redis.pipeline(transaction=False)
        for chat_id in ids:
            pipeline.hget(keys.chat(chat_id), _HEAD)
        found: list[bytes | None] = await pipeline.execute() if ids else []
        return [_decode_head(head) for head in found if head is not None]

    async def _with_reply(self, head: ChatHead) -> StoredChat:
        return StoredChat(head, await self._joined(head.id, _REPLY))

    async def _if_there(self, head: ChatHead) -> StoredChat | None:
        """None where it was deleted since its head was read."""
        try:
            return await self._with_reply(head)
        except UnknownChat:
            return None

    async def _joined(self, chat_id: str, prefix: str) -> bytes:
        """A text that lies in parts. Raises UnknownChat."""
        parts: list[bytes] = []
        while (part := await self._hget(chat_id, f"{prefix}{len(parts)}")) is not None:
            parts.append(part)
        if not parts:
            raise UnknownChat
        return await asyncio.to_thread(lambda: zstandard.ZstdDecompressor().decompress(b"".join(parts)))

    async def _hget(self, chat_id: str, field: str) -> Any:
        return await self._redis.hget(keys.chat(chat_id), field)  # pyright: ignore[reportGeneralTypeIssues]


def _parts(prefix: str, text: bytes) -> dict[str, bytes]:
    compressed = zstandard.ZstdCompressor(level=1).compress(text)
    return {f"{prefix}{number}": part for number, part in enumerate(parts_of(compressed))}
