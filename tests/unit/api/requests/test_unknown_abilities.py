"""A model that was declared and that no worker has served: whether it reads images is not known."""

import pytest

from api.requests.inputs import TextOrImage, load_inputs
from jobs.errors import NoWorker
from jobs.models import declared_model
from tests.support.memory_queue import MemoryQueue

QUEUE = MemoryQueue((declared_model("embed:m"),))


async def test_texts_are_taken():
    assert await load_inputs(QUEUE, "m", ["a text", (1, 2)], None, None) == ("a text", (1, 2))


@pytest.mark.parametrize(
    ("given", "image_url"),
    [
        ("https://example.org/cat.png", None),
        (TextOrImage(image="https://example.org/cat.png"), None),
        ("a text", "https://example.org/cat.png"),
    ],
)
async def test_what_may_be_an_image_is_not_taken_for_a_text(given: str | TextOrImage, image_url: str | None):
    with pytest.raises(NoWorker, match="not known whether it reads images"):
        await load_inputs(QUEUE, "m", [given], image_url, None)
