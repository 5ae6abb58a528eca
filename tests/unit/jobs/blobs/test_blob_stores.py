"""Both kinds of stores do the same; what only one of them can meet is in a test of its own."""

import os
import random
import time
from io import BytesIO
from pathlib import Path

import fakeredis
import pytest
from PIL import Image

from jobs.blobs.blob import Blob, raw_image
from jobs.blobs.folder import KEPT_S, BlobFolder
from jobs.blobs.of_job import blobs_of, with_images
from jobs.blobs.redis import RedisBlobs
from jobs.blobs.store import BlobStore, blob_store
from jobs.content import BlobPart, ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.errors import BlobGone, Overloaded
from jobs.settings import Settings
from jobs.store import keys

MOST_BYTES = 4_000_000


def noise(seed: int, width: int = 20, height: int = 10) -> Blob:
    """A picture that nothing makes smaller."""
    return raw_image(width, height, random.Random(seed).randbytes(3 * width * height))


@pytest.fixture
def redis() -> fakeredis.FakeRedis:
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.fixture(params=["folder", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path, redis: fakeredis.FakeRedis) -> BlobStore:
    return BlobFolder(tmp_path / "blobs") if request.param == "folder" else RedisBlobs(redis, MOST_BYTES)


def test_a_raw_image_is_one_that_pillow_reads():
    pixels = bytes(range(256)) * 3
    blob = raw_image(16, 16, pixels)
    with Image.open(BytesIO(b"".join(blob.pieces))) as opened:
        assert (opened.mode, opened.size, opened.tobytes()) == ("RGB", (16, 16), pixels)
    assert (blob.part.pixels, blob.part.size_bytes) == (256, sum(map(len, blob.pieces)))


def test_equal_pixels_of_another_shape_are_another_image():
    assert raw_image(2, 8, bytes(48)).part.digest != raw_image(8, 2, bytes(48)).part.digest


def test_too_few_pixels_are_no_image():
    with pytest.raises(ValueError, match=r"no image of 2 \* 2"):
        raw_image(2, 2, b"123")


def test_a_blob_is_read_as_it_was_put_and_may_be_put_and_removed_twice(store: BlobStore):
    blob = noise(1, 700, 600)  # more than one part
    for _ in range(2):
        store.put(blob)
        assert store.read(blob.part) == b"".join(blob.pieces)
    for _ in range(2):
        store.remove([blob.part.digest])
    with pytest.raises(BlobGone):
        store.read(blob.part)


def test_a_blob_that_was_never_put_is_gone(store: BlobStore):
    store.put(noise(1))
    with pytest.raises(BlobGone, match="Put it again"):
        store.read(noise(2).part)


def test_a_job_is_read_with_its_images(store: BlobStore):
    blob = noise(1)
    store.put(blob)
    job = EmbedJob(model="m", inputs=("text", MixedInput((blob.part, TextPart("beside")))))
    assert blobs_of(job) == (blob.part,)
    whole = MixedInput((ImagePart(b"".join(blob.pieces)), TextPart("beside")))
    assert with_images(job, store) == EmbedJob(model="m", inputs=("text", whole))


# In a folder


def test_what_is_cut_short_is_gone(tmp_path: Path):
    folder, blob = BlobFolder(tmp_path), noise(1)
    folder.put(blob)
    os.truncate(tmp_path / blob.part.digest, 100)
    with pytest.raises(BlobGone):
        folder.read(blob.part)
    folder.put(blob)  # and is put again
    assert folder.read(blob.part) == b"".join(blob.pieces)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(BlobGone, match=r"not there.*MLXQ_RESULTS"):
        BlobFolder(tmp_path / "not there").read(noise(1).part)


@pytest.mark.parametrize("digest", ["", "../etc/passwd", "A" * 64, "a" * 63])
def test_what_is_no_digest_is_not_looked_for(tmp_path: Path, digest: str):
    with pytest.raises(BlobGone, match="no digest"):
        BlobFolder(tmp_path).read(BlobPart(digest, 1, 1))


def test_a_sweep_removes_what_nobody_removed_in_time(tmp_path: Path):
    folder, kept, old = BlobFolder(tmp_path), noise(1), noise(2)
    folder.put(kept)
    folder.put(old)
    strange, unfinished = tmp_path / "a file of somebody else", tmp_path / f"{old.part.digest}-1.part"
    for path in (strange, unfinished):
        path.touch()
    then = time.time() - KEPT_S - 1
    for path in (strange, unfinished, tmp_path / old.part.digest):
        os.utime(path, (then, then))
    folder.sweep()
    assert sorted(os.listdir(tmp_path)) == sorted([kept.part.digest, strange.name])


def test_a_blob_that_is_put_again_is_kept_as_long_as_a_fresh_one(tmp_path: Path):
    folder, blob = BlobFolder(tmp_path), noise(1)
    folder.put(blob)
    os.utime(tmp_path / blob.part.digest, (1, 1))
    folder.put(blob)
    folder.sweep()
    assert folder.read(blob.part)


# In Redis


def test_above_the_bound_nothing_is_put_until_there_is_room(redis: fakeredis.FakeRedis):
    store, blobs = RedisBlobs(redis, 150_000), [noise(n, 150, 150) for n in range(3)]
    store.put(blobs[0])
    store.put(blobs[1])
    with pytest.raises(Overloaded, match="MLXQ_BLOB_BYTES"):
        store.put(blobs[2])
    store.put(blobs[1])  # is there already
    store.remove([blobs[0].part.digest])
    store.put(blobs[2])
    assert store.read(blobs[2].part) == b"".join(blobs[2].pieces)


def test_one_blob_that_is_over_the_bound_alone_is_put(redis: fakeredis.FakeRedis):
    store, blob = RedisBlobs(redis, 10), noise(1)
    store.put(blob)
    assert store.read(blob.part)


def test_a_blob_whose_time_is_over_leaves_its_room_to_others(redis: fakeredis.FakeRedis):
    store, first, second = RedisBlobs(redis, 100_000), noise(1, 150, 150), noise(2, 150, 150)
    store.put(first)
    redis.zadd("mlxq:pages", {first.part.digest: 1})
    store.put(second)
    with pytest.raises(BlobGone):
        store.read(first.part)
    assert int(redis.hget("mlxq:page_bytes", "all") or 0) == redis.hstrlen(
        keys.page_blob(second.part.digest), "0"
    )


def test_a_blob_whose_writer_died_between_its_parts_is_gone_and_can_be_put(redis: fakeredis.FakeRedis):
    store, blob = RedisBlobs(redis, MOST_BYTES), noise(1, 700, 600)
    store.put(blob)
    redis.hdel(keys.page_blob(blob.part.digest), "1")
    with pytest.raises(BlobGone):
        store.read(blob.part)
    store.put(blob)
    assert store.read(blob.part) == b"".join(blob.pieces)


def test_all_is_counted_once_and_expires_in_redis(redis: fakeredis.FakeRedis):
    store, blob = RedisBlobs(redis, MOST_BYTES), noise(1)
    store.put(blob)
    store.put(blob)
    assert redis.ttl(keys.page_blob(blob.part.digest)) > 0
    store.remove([blob.part.digest])
    assert redis.hgetall("mlxq:page_bytes") == {b"all": b"0"}
    assert redis.zcard("mlxq:pages") == 0


# Which of them


def test_blobs_lie_where_large_results_do(tmp_path: Path, redis: fakeredis.FakeRedis):
    shared = blob_store(Settings(redis_url="redis://somewhere", results=tmp_path), redis)
    assert isinstance(shared, BlobFolder) and shared.path == tmp_path / "blobs"
    own = blob_store(Settings(data=tmp_path), redis)
    assert isinstance(own, BlobFolder) and own.path == tmp_path / "redis" / "results" / "blobs"
    assert isinstance(blob_store(Settings(redis_url="redis://somewhere"), redis), RedisBlobs)
