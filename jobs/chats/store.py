"""Where stored chats lie, as far as whoever keeps and reads them needs to know."""

from typing import Protocol

from jobs.chats.chat import ChatPage, ChatQuery, StoredChat


class ChatStore(Protocol):
    """Every method raises QueueUnavailable while Redis is away."""

    async def check_room(self, size_bytes: int) -> None:
        """Before a chat is answered. size_bytes: of its messages. Raises ChatsFull."""
        ...

    async def keep(self, chat: StoredChat, messages: bytes) -> None:
        """Store a chat, unless it is stored already or was deleted: its request may be repeated. messages: JSON.

        Raises ChatsFull where others took the room meanwhile.
        """
        ...

    async def read(self, chat_id: str) -> StoredChat:
        """Raises UnknownChat."""
        ...

    async def messages(self, chat_id: str) -> bytes:
        """JSON, as they were kept. Raises UnknownChat."""
        ...

    async def page(self, query: ChatQuery) -> ChatPage:
        """Those that a query asks for, up to PAGE_BYTES of replies. The chat `after` may be gone."""
        ...

    async def label(self, chat_id: str, metadata: dict[str, str]) -> StoredChat:
        """Give a chat other metadata. Raises UnknownChat, ChatsFull."""
        ...

    async def delete(self, chat_id: str) -> None:
        """Raises UnknownChat."""
        ...
