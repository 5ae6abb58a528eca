"""Stored chats in Redis: kept, listed by pages and filters, within a bound and for a time."""

import asyncio
from typing import Any

import fakeredis
import pytest
from redis import exceptions as redis_errors

from jobs.chats import redis as redis_file
from jobs.chats.chat import ChatHead, ChatQuery, ChatsFull, StoredChat, UnknownChat
from jobs.chats.redis import RedisChats
from jobs.client.queue import JobQueue
from jobs.errors import QueueUnavailable
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


def used_bytes(server: fakeredis.FakeServer) -> int:
    used: Any = fakeredis.FakeRedis(server=server).get("mlxq:chats_used")
    return int(used)


def fill(server: fakeredis.FakeServer, used: int) -> None:
    """As if the chats had so many bytes."""
    fakeredis.FakeRedis(server=server).set("mlxq:chats_used", used)


def everything(server: fakeredis.FakeServer) -> dict[bytes, bytes]:
    """All that Redis holds."""
    redis: Any = fakeredis.FakeRedis(server=server)
    return {key: redis.dump(key) for key in redis.keys("*")}


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
    assert (redis.get("mlxq:chats_used"), redis.keys("mlxq:*chat*")) == (b"0", [b"mlxq:chats_used"])
    assert await ids(chats) == []
    for act in (chats.read, chats.messages, chats.delete, lambda gone: chats.label(gone, {})):
        with pytest.raises(UnknownChat):
            await act(chat_id)


async def test_a_full_store_takes_no_more_until_one_is_deleted(server: fakeredis.FakeServer):
    chats = chats_of(server, stored_chat_bytes=MIB)
    kept = chat(reply=b"{}")
    await chats.keep(kept, b"[]")
    await chats.keep(kept, b"[]")  # told twice, counted once
    free = MIB - used_bytes(server)
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
    assert used_bytes(server) == 0


async def test_as_many_old_chats_are_forgotten_as_a_new_one_needs(server: fakeredis.FakeServer):
    await keep(chats_of(server), 250)
    redis = fakeredis.FakeRedis(server=server)
    members: Any = redis.zrange(keys.CHATS, 0, -1)
    for chat_id in keys.names(members):  # they are old in the list alone
        redis.zrem(keys.CHATS, chat_id)
        redis.zadd(keys.CHATS, {record.id_of_time(1_700_000_000) + chat_id: 0})
        redis.hset("mlxq:chat_bytes", record.id_of_time(1_700_000_000) + chat_id, MIB // 250)
    redis.set("mlxq:chats_used", MIB // 250 * 250)
    chats = chats_of(server, stored_chat_bytes=MIB)
    await chats.check_room(MIB)
    with pytest.raises(ChatsFull):
        await chats.check_room(MIB + 1)


async def test_no_id_names_the_bytes_of_all(chats: RedisChats, server: fakeredis.FakeServer):
    await keep(chats, 2)
    before = everything(server)
    for name in ("all", "bytes_of_all", "used", ""):
        with pytest.raises(UnknownChat):
            await chats.delete(name)
    assert everything(server) == before


async def test_the_bytes_of_all_are_those_that_lie_there(chats: RedisChats, server: fakeredis.FakeServer):
    kept = chat(topic="leases")
    await chats.keep(kept, b"[]")
    for metadata in ({"topic": "t" * 500}, {}, {"a": "b"}):
        await chats.label(kept.head.id, metadata)
        lies: Any = fakeredis.FakeRedis(server=server).hvals(keys.chat(kept.head.id))
        assert used_bytes(server) == redis_file.OVERHEAD_BYTES + sum(map(len, lies))
    await chats.delete(kept.head.id)
    assert used_bytes(server) == 0


async def test_metadata_get_no_more_room_than_there_is(server: fakeredis.FakeServer):
    kept = chat(topic="leases")
    await chats_of(server).keep(kept, b"[]")
    fill(server, MIB)
    chats = chats_of(server, stored_chat_bytes=MIB)
    with pytest.raises(ChatsFull) as refused:
        await chats.label(kept.head.id, {"topic": "leases!"})
    assert refused.value.param == "metadata"
    assert (await chats.read(kept.head.id)).head.metadata == {"topic": "leases"}
    await chats.label(kept.head.id, {"topic": "lease"})


async def test_chats_that_were_answered_together_do_not_go_over_the_bound(server: fakeredis.FakeServer):
    chats = chats_of(server, stored_chat_bytes=MIB)
    fill(server, MIB - 2 * redis_file.OVERHEAD_BYTES)
    for _ in range(5):
        await chats.check_room(0)
    kept = await asyncio.gather(*(chats.keep(chat(), b"[]") for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in kept if each is not None] == [ChatsFull] * 4
    assert used_bytes(server) <= MIB
    assert not fakeredis.FakeRedis(server=server).keys("mlxq:new_chat:*")


async def test_a_repeat_leaves_a_stored_chat_alone(chats: RedisChats):
    kept = chat(topic="leases")
    await chats.keep(kept, b"[]")
    changed = await chats.label(kept.head.id, {"author": "al"})
    await chats.keep(StoredChat(kept.head, b'{"later": 1}'), b"[1]")
    assert await chats.read(kept.head.id) == changed
    assert await chats.messages(kept.head.id) == b"[]"


async def test_a_repeat_does_not_bring_a_deleted_chat_back(chats: RedisChats, server: fakeredis.FakeServer):
    kept = chat()
    redis = fakeredis.FakeRedis(server=server)
    redis.hset(keys.job(kept.head.id), mapping={"status": "finished"})
    redis.expire(keys.job(kept.head.id), 60)
    await chats.keep(kept, b"[]")
    await chats.delete(kept.head.id)
    await chats.keep(kept, b"[]")
    with pytest.raises(UnknownChat):
        await chats.read(kept.head.id)
    assert (used_bytes(server), redis.keys("mlxq:*chat*")) == (0, [b"mlxq:chats_used"])
    assert 0 < redis.ttl(keys.job(kept.head.id)) <= 60


async def test_a_chat_of_which_only_parts_were_written_is_no_chat_and_does_not_stay(
    chats: RedisChats, server: fakeredis.FakeServer, monkeypatch: pytest.MonkeyPatch
):
    async def away(**_: object) -> None:
        raise redis_errors.ConnectionError

    monkeypatch.setattr(chats, "_keep", away)
    kept = chat()
    with pytest.raises(QueueUnavailable):
        await chats.keep(kept, b"[]")
    with pytest.raises(UnknownChat):
        await chats.read(kept.head.id)
    redis = fakeredis.FakeRedis(server=server)
    assert all(0 < redis.ttl(key) <= 300 for key in redis.keys("mlxq:*"))


async def test_a_chat_that_lost_a_part_is_not_stored(chats: RedisChats, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redis_file, "NEW_TTL_S", 0)
    kept = chat()
    with pytest.raises(QueueUnavailable, match="lost"):
        await chats.keep(kept, b"[]")
    with pytest.raises(UnknownChat):
        await chats.read(kept.head.id)


async def test_a_page_ends_before_it_has_too_many_bytes(chats: RedisChats, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redis_file, "PAGE_BYTES", 250, raising=False)
    sizes = (100, 100, 100, 300)
    made = [chat(f"{(1 << 43) + n:011x}", reply=b"a" * size) for n, size in enumerate(sizes)]
    for each in made:
        await chats.keep(each, b"[]")
    first = await chats.page(ChatQuery())
    assert (first.chats, first.has_more) == (tuple(made[:2]), True)
    second = await chats.page(ChatQuery(after=made[1].head.id))
    assert (second.chats, second.has_more) == (tuple(made[2:3]), True)
    last = await chats.page(ChatQuery(after=made[2].head.id))  # larger than a page by itself
    assert (last.chats, last.has_more) == (tuple(made[3:]), False)
