"""Pages and texts from the queue to their vectors: a real Redis, a whole worker, a small ColQwen2.5."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import redis
from PIL import Image

from jobs.content import ImagePart, MixedInput
from jobs.embed import EmbedJob, EmbedResult
from jobs.errors import InvalidInput
from jobs.settings import Settings
from jobs.store.redis_server import RedisServer
from tests.checkpoints.colqwen import DOCUMENTS, IMAGE_SIZES, QUERIES, make, png
from tests.support.folders import GOLDEN
from tests.support.images import encode
from tests.support.parity import least_cosine
from tests.support.running_worker import INTERACTIVE, embedded, working_queue
from workers.models.open import load_runner

REFERENCE = np.load(GOLDEN / "colqwen2_5.npz")
EXPECTED = np.split(REFERENCE["vectors"].astype(np.float64), np.cumsum(REFERENCE["counts"])[:-1])


def pages(*data: bytes) -> EmbedJob:
    return EmbedJob("m", tuple(MixedInput((ImagePart(each),)) for each in data))


def parts(result: EmbedResult) -> list[np.ndarray]:
    """Of each input, its vectors."""
    found = np.frombuffer(result.vectors, dtype="<f4").reshape(-1, result.dimensions)
    assert len(found) == sum(result.counts)
    return np.split(found.astype(np.float64), np.cumsum(result.counts)[:-1])


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
async def test_worker_embeds_images_and_texts_together_and_outlives_bad_images(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
):
    runner = load_runner(str(make(tmp_path / "m")), Settings())
    async with working_queue(redis_server.url, runner) as queue:

        async def ask(job: EmbedJob) -> EmbedResult:
            ticket = await queue.submit(job, INTERACTIVE)
            return embedded(await queue.wait(ticket.id, 60))

        asked = [
            EmbedJob("m", QUERIES),
            pages(*(png(number) for number in range(len(IMAGE_SIZES)))),
            EmbedJob("m", DOCUMENTS, input_type="document"),
            pages(png(1)),
            EmbedJob("m", (QUERIES[0], MixedInput((ImagePart(png(5)),)))),
        ]
        texts, books, documents, tall, mixed = await asyncio.gather(*map(ask, asked))
        found = [*parts(texts), *parts(documents), *parts(books)]
        for each, expected in zip(found, EXPECTED, strict=True):
            assert least_cosine(each, expected) >= 0.9999
        assert least_cosine(parts(tall)[0], EXPECTED[-5]) >= 0.9999
        assert least_cosine(parts(mixed)[0], EXPECTED[0]) >= 0.9999
        assert least_cosine(parts(mixed)[1], EXPECTED[-1]) >= 0.9999
        assert [len(each) for each in mixed.grids] == [0, 1]

        for bad in (
            png(0)[: len(png(0)) // 2],
            encode(Image.effect_noise((200, 200), 50), "JPEG")[:3000],
            encode(Image.new("1", (12_000, 10_000)), "PNG"),
            b"no image",
        ):
            with pytest.raises(InvalidInput, match="Input 1: An image"):
                await ask(pages(png(0), bad))

        plain = await ask(pages(encode(Image.new("RGB", (112, 84), "white"), "PNG")))
        clear = await ask(pages(encode(Image.new("RGBA", (112, 84), (0, 0, 0, 0)), "PNG")))
        assert clear == plain


async def test_odd_images_are_read_as_what_they_show(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
):
    runner = load_runner(str(make(tmp_path / "m")), Settings())
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient = Image.linear_gradient("L").resize((112, 84))
    colour = Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.FLIP_LEFT_RIGHT), gradient))
    frames = [colour, Image.new("RGB", colour.size, "red")]
    deep = Image.fromarray(np.asarray(gradient).astype(np.uint16) * 257)
    turned = colour.transpose(Image.Transpose.ROTATE_90)  # which orientation 6 turns back
    pairs = [
        (encode(deep, "TIFF"), encode(gradient, "PNG")),
        (
            encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True),
            encode(colour, "PNG"),
        ),
        (encode(turned, "PNG", exif=exif), encode(colour, "PNG")),
        (encode(colour.convert("CMYK"), "JPEG", quality=100, subsampling=0), encode(colour, "PNG")),
    ]
    async with working_queue(redis_server.url, runner) as queue:
        for odd, plain in pairs:
            ticket = await queue.submit(pages(odd, plain), INTERACTIVE)
            found, expected = parts(embedded(await queue.wait(ticket.id, 60)))
            assert least_cosine(found, expected) >= 0.999
