"""Stored chats without Redis, for tests."""

from jobs.chats.chat import ChatPage, ChatQuery, StoredChat, UnknownChat, chats_full


class MemoryChats:
    """A jobs.chats.store.ChatStore over a dict. max_bytes: nothing is compressed."""

    def __init__(self, max_bytes: int = 1 << 20) -> None:
        self.max_bytes = max_bytes
        self.kept: dict[str, tuple[StoredChat, bytes]] = {}

    async def check_room(self, size_bytes: int) -> None:
        used = sum(len(chat.reply) + len(messages) for chat, messages in self.kept.values())
        if used + size_bytes > self.max_bytes:
            raise chats_full(used, self.max_bytes)

    async def keep(self, chat: StoredChat, messages: bytes) -> None:
        self.kept[chat.head.id] = (chat, messages)

    async def read(self, chat_id: str) -> StoredChat:
        return self._kept(chat_id)[0]

    async def messages(self, chat_id: str) -> bytes:
        return self._kept(chat_id)[1]

    async def page(self, query: ChatQuery) -> ChatPage:
        ids = list(self.kept)[:: -1 if query.descending else 1]
        rest = ids[ids.index(query.after) + 1 :] if query.after in ids else ids
        found = [self.kept[each][0] for each in rest if query.takes(self.kept[each][0].head)]
        return ChatPage(tuple(found[: query.limit]), len(found) > query.limit)

    async def label(self, chat_id: str, metadata: dict[str, str]) -> StoredChat:
        chat, messages = self._kept(chat_id)
        head = type(chat.head)(chat.head.id, chat.head.model, metadata)
        self.kept[chat_id] = (StoredChat(head, chat.reply), messages)
        return self.kept[chat_id][0]

    async def delete(self, chat_id: str) -> None:
        del self.kept[self._kept(chat_id)[0].head.id]

    def _kept(self, chat_id: str) -> tuple[StoredChat, bytes]:
        if chat_id not in self.kept:
            raise UnknownChat
        return self.kept[chat_id]
