"""Stored chats in Redis: kept, listed by pages and filters, within a bound and for a time."""

from typing import Any

import fakeredis
import pytest

from jobs.chats import redis as redis_file
from jobs.chats.chat import ChatHead, ChatQuery, ChatsFull, StoredChat, UnknownChat
from jobs.chats.redis import RedisChats
from jobs.client.queue import JobQueue
from jobs.results import encoding
from jobs.settings import Settings
from jobs.store import keys, record

MIB = 1024**2


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def chats(server: fakeredis.FakeServer) -> RedisChats:
    return chats_of(server)


def chats_of(server: fakeredis.FakeServer, **settings: int) -> RedisChats:
    return JobQueue(fakeredis.FakeAsyncRedis(server=server), Settings.model_validate(settings)).chats


def chat(chat_id: str | None = None, model: str = "m", reply: bytes = b"{}", **metadata: str) -> StoredChat:
    return StoredChat(ChatHead(chat_id or record.new_id(), model, metadata), reply)


async def keep(chats: RedisChats, count: int) -> list[str]:
    """Ids of so many chats, one a millisecond."""
    first = int(record.new_id()[:11], 16)
    made = [chat(f"{first + n:011x}{'a' * 20}") for n in range(count)]
    for each in made:
        await chats.keep(each, b"[]")
    return [each.head.id for each in made]


async def ids(chats: RedisChats, **query: object) -> list[str]:
    page = await chats.page(ChatQuery(**query))  # pyright: ignore[reportArgumentType]
    return [each.head.id for each in page.chats]


async def test_a_chat_is_read_as_it_was_kept(chats: RedisChats):
    kept = chat(reply=b'{"a": 1}', topic="leases")
    await chats.keep(kept, b'[{"role": "user"}]')
    assert await chats.read(kept.head.id) == kept
    assert await chats.messages(kept.head.id) == b'[{"role": "user"}]'


async def test_a_large_chat_lies_in_parts(
    chats: RedisChats, server: fakeredis.FakeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(encoding, "PART_BYTES", 8)
    kept = chat(reply=bytes(range(256)))
    await chats.keep(kept, bytes(range(255)))
    assert fakeredis.FakeRedis(server=server).hlen(keys.chat(kept.head.id)) > 60
    assert await chats.read(kept.head.id) == kept
    assert await chats.messages(kept.head.id) == bytes(range(255))


async def test_pages_go_through_all_chats_in_both_orders(chats: RedisChats, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redis_file, "AT_ONCE", 2)
    made = await keep(chats, 5)
    assert await ids(chats) == made
    assert await ids(chats, descending=True) == made[::-1]
    assert await ids(chats, limit=2, after=made[1]) == made[2:4]
    assert await ids(chats, limit=2, after=made[1], descending=True) == made[:1]
    assert (await chats.page(ChatQuery(limit=4))).has_more
    assert not (await chats.page(ChatQuery(limit=5))).has_more
    await chats.delete(made[1])
    assert await ids(chats, after=made[1]) == made[2:]


async def test_filters_find_what_is_far_behind(chats: RedisChats, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redis_file, "AT_ONCE", 2)
    await keep(chats, 5)
    wanted = chat(f"{1 << 43:011x}", model="other", topic="leases", author="al")
    await chats.keep(wanted, b"[]")
    assert await ids(chats, metadata={"topic": "leases"}, limit=1) == [wanted.head.id]
    assert await ids(chats, model="other") == [wanted.head.id]
    assert await ids(chats, metadata={"topic": "leases", "author": "bo"}) == []


async def test_other_metadata_replace_all(chats: RedisChats):
    kept = chat(topic="leases")
    await chats.keep(kept, b"[]")
    changed = await chats.label(kept.head.id, {"author": "al"})
    assert changed.head.metadata == {"author": "al"}
    assert await chats.read(kept.head.id) == changed


async def test_a_deleted_chat_leaves_nothing(chats: RedisChats, server: fakeredis.FakeServer):
    [chat_id] = await keep(chats, 1)
    await chats.delete(chat_id)
    redis = fakeredis.FakeRedis(server=server)
    assert (redis.hgetall("mlxq:chat_bytes"), redis.keys("mlxq:chat:*")) == ({b"all": b"0"}, [])
    assert await ids(chats) == []
    for act in (chats.read, chats.messages, chats.delete, lambda gone: chats.label(gone, {})):
        with pytest.raises(UnknownChat):
            await act(chat_id)


async def test_a_full_store_takes_no_more_until_one_is_deleted(server: fakeredis.FakeServer):
    chats = chats_of(server, stored_chat_bytes=MIB)
    kept = chat(reply=b"{}")
    await chats.keep(kept, b"[]")
    await chats.keep(kept, b"[]")  # told twice, counted once
    used: Any = fakeredis.FakeRedis(server=server).hget("mlxq:chat_bytes", "all")
    free = MIB - int(used)
    assert MIB - 2 * redis_file.OVERHEAD_BYTES < free < MIB - redis_file.OVERHEAD_BYTES
    await chats.check_room(free)
    with pytest.raises(ChatsFull, match="MLXQ_STORED_CHAT_BYTES"):
        await chats.check_room(free + 1)
    await chats.delete(kept.head.id)
    await chats.check_room(free + 1)


async def test_chats_that_are_too_old_are_forgotten(server: fakeredis.FakeServer):
    old = chat(record.id_of_time(1_700_000_000))
    chats = chats_of(server, stored_chat_ttl_s=3600)
    await chats.keep(old, b"[]")
    redis = fakeredis.FakeRedis(server=server)
    assert 0 < redis.ttl(keys.chat(old.head.id)) <= 3600
    assert await ids(chats) == await ids(chats, descending=True) == []
    await chats.check_room(0)
    assert redis.zcard(keys.CHATS) == 0
    assert redis.hget("mlxq:chat_bytes", "all") == b"0"
