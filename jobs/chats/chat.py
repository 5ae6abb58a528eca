"""A stored chat: what was asked, and what was answered."""

from typing import Literal

import msgspec

from jobs.errors import InvalidInput

PAGE_BYTES = 4 << 20
"""A page of a list ends before more than this, unless it is empty."""


class ChatHead(msgspec.Struct, frozen=True):
    """What lists of stored chats choose by."""

    id: str
    """Of the job that answered it; ids sort by their time."""
    model: str
    metadata: dict[str, str] = {}


class StoredChat(msgspec.Struct, frozen=True):
    """A chat without its messages."""

    head: ChatHead
    reply: bytes
    """JSON, as the caller got it."""


class ChatQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the stored chats is asked for."""

    after: str | None = None
    """The id of the chat before the first one."""
    limit: int = 20
    descending: bool = False
    """Newest first; otherwise oldest first."""
    model: str | None = None
    metadata: dict[str, str] = {}
    """Pairs that a chat must have."""

    def takes(self, head: ChatHead) -> bool:
        """Whether a chat is one of those that are asked for."""
        has_all = all(head.metadata.get(name) == value for name, value in self.metadata.items())
        return has_all and self.model in (None, head.model)


class ChatPage(msgspec.Struct, frozen=True):
    """A part of a list."""

    chats: tuple[StoredChat, ...]
    has_more: bool


class UnknownChat(InvalidInput):
    """There is no such stored chat: it was not created with store = true, or it was deleted, or is too old."""

    code = "chat_not_found"


class ChatsFull(InvalidInput):
    """There is no room for another stored chat. Delete some, or send the request without store."""

    code = "chats_full"


def chats_full(used_bytes: int, max_bytes: int, param: Literal["store", "metadata"] = "store") -> ChatsFull:
    """For a chat that has no room beside those that are stored. param: what needs the room."""
    instead = "send the request without store" if param == "store" else "give this one less"
    return ChatsFull(
        f"{param}: the stored chats have {used_bytes:,} bytes, and may have {max_bytes:,} "
        f"(MLXQ_STORED_CHAT_BYTES). Delete some, or {instead}.",
        param=param,
    )
