"""Images from the queue to the answer: a real Redis, a whole worker, a small vision model."""

import asyncio
from io import BytesIO
from pathlib import Path

import pytest
import redis
from PIL import Image

from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, GenerateResult, Message, Sampling
from jobs.settings import Settings
from jobs.store.redis_server import RedisServer
from tests.checkpoints.vision import make
from tests.support.running_worker import INTERACTIVE, working_queue
from workers.models.open import load_runner


def job(*parts: TextPart | ImagePart) -> GenerateJob:
    chat = Chat((Message("user", parts),))
    return GenerateJob(model="qwen2_5_vl", prompt=chat, sampling=Sampling(temperature=0), max_tokens=8)


def image(colour: str) -> ImagePart:
    file = BytesIO()
    Image.new("RGB", (90, 60), colour).save(file, "PNG")
    return ImagePart(file.getvalue())


async def test_worker_answers_chats_with_and_without_images_together(
    redis_server: RedisServer, redis_client: redis.Redis, tmp_path: Path
):
    runner = load_runner(str(make("qwen2_5_vl", tmp_path / "qwen2_5_vl")), Settings())
    async with working_queue(redis_server.url, runner) as queue:

        async def answer(asked: GenerateJob) -> GenerateResult:
            ticket = await queue.submit(asked, INTERACTIVE)
            found = await queue.wait(ticket.id, 60)
            assert isinstance(found, GenerateResult)
            return found

        asked = [
            job(TextPart("the red fox")),
            job(image("red"), TextPart("the red fox")),
            job(image("blue"), TextPart("the red fox")),
            job(TextPart("look"), image("blue"), TextPart("and"), image("red"), TextPart("now")),
        ]
        alone = [await answer(each) for each in asked]
        together = await asyncio.gather(*map(answer, asked))
        assert [each.choices for each in together] == [each.choices for each in alone]
        assert len({each.choices for each in alone}) == len(asked)
        assert [each.prompt_tokens - alone[0].prompt_tokens for each in alone[1:3]] == [8, 8]
        with pytest.raises(InvalidInput):
            await answer(job(ImagePart(b"no image"), TextPart("cat")))
