"""Images of pages that vision-language models make vectors of: how large they are read, and which threads decode."""

import threading
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import EmbedJob
from jobs.errors import InvalidInput
from tests.checkpoints import vision
from tests.checkpoints.colqwen import png
from tests.support import parity
from workers.runners.embed import vision_generators
from workers.runners.embed.vision_generators import VisionEmbedRunner, VisionItem, scaled_down
from workers.runners.vision.images import decode
from workers.runners.vision.patches import MAX_PIXELS


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> VisionEmbedRunner:
    folder = vision.make("qwen2_5_vl", tmp_path_factory.mktemp("seeing") / "m")
    return parity.opened(f"{folder},task=embed", VisionEmbedRunner)


def photograph(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(4).integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height))


def encoded(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def mixed_job(*images: bytes) -> EmbedJob:
    return EmbedJob("m", tuple(MixedInput((ImagePart(each),)) for each in images))


def test_large_image_is_scaled_down_before_the_processor_has_it(
    runner: VisionEmbedRunner, monkeypatch: pytest.MonkeyPatch
):
    sizes: list[tuple[int, int]] = []
    process = runner._prompts._process

    def watched(text: str, images: list[Image.Image], param: str, *, whole: bool):
        sizes.extend(each.size for each in images)
        return process(text, images, param, whole=whole)

    monkeypatch.setattr(runner._prompts, "_process", watched)
    large = photograph(4000, 3000)
    small = large.resize((896, 672), Image.Resampling.BICUBIC)  # 602,112 pixels
    found, expected = parity.prepared(runner, [mixed_job(encoded(large), encoded(small))], VisionItem)
    assert sizes == [(896, 672), (896, 672)]
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_array_equal(found.image_inputs["pixel_values"], expected.image_inputs["pixel_values"])


@pytest.mark.parametrize(
    "size", [(4000, 3000), (1654, 2339), (897, 672), (100_000, 10), (2_000_000, 1), (1, 900_000)]
)
def test_no_image_is_larger_than_allowed_and_proportions_stay(size: tuple[int, int]):
    width, height = scaled_down(Image.new("1", size), MAX_PIXELS).size
    assert 0 < width * height <= MAX_PIXELS
    if min(size) > 100:
        assert width * height > 0.99 * MAX_PIXELS
        assert width / height == pytest.approx(size[0] / size[1], rel=0.005)


def test_image_that_is_small_enough_stays_as_it_is():
    image = photograph(896, 672)
    assert scaled_down(image, MAX_PIXELS) is image


def test_images_are_decoded_by_threads_of_their_own(
    runner: VisionEmbedRunner, monkeypatch: pytest.MonkeyPatch
):
    threads: list[str] = []

    def watched(data: bytes, param: str) -> Image.Image:
        threads.append(threading.current_thread().name)
        return decode(data, param)

    monkeypatch.setattr(vision_generators, "decode", watched)
    assert len(parity.prepared(runner, [mixed_job(png(0), png(1)), mixed_job(png(2))], VisionItem)) == 3
    assert len(threads) == 3
    assert all(name.startswith("images") for name in threads)


def test_after_an_error_no_more_of_the_jobs_images_are_decoded(
    runner: VisionEmbedRunner, monkeypatch: pytest.MonkeyPatch
):
    refused = threading.Event()
    decoded: list[bytes] = []

    def slow(data: bytes, param: str) -> Image.Image:
        if data != b"broken":
            assert refused.wait(60)
        decoded.append(data)
        return decode(data, param)

    monkeypatch.setattr(vision_generators, "decode", slow)
    [error] = runner.prepare([mixed_job(b"broken", *[png(0)] * 40)])
    assert isinstance(error, InvalidInput)
    assert error.message.startswith("Input 0: ")
    refused.set()
    runner._threads.submit(int).result()  # behind all that is left of them
    assert len(decoded) < 12


def test_a_jobs_broken_image_is_named_and_its_neighbours_are_served(runner: VisionEmbedRunner):
    sound = mixed_job(png(0), png(1))
    broken = EmbedJob(
        "m",
        (
            "a",
            MixedInput((ImagePart(png(0)), TextPart("b"))),
            MixedInput((ImagePart(b"none"),)),
            "c",
        ),
    )
    first, error, last = runner.prepare([sound, broken, sound])
    assert isinstance(error, InvalidInput)
    assert (error.param, error.message.partition(": ")[0]) == ("input", "Input 2")
    assert isinstance(first, list)
    assert isinstance(last, list)
    assert [item.ids.tolist() for item in first] == [item.ids.tolist() for item in last]


def test_nothing_is_decoded_for_a_job_that_is_refused_as_a_whole(
    runner: VisionEmbedRunner, monkeypatch: pytest.MonkeyPatch
):
    decoded: list[bytes] = []
    monkeypatch.setattr(vision_generators, "decode", lambda data, _: decoded.append(data))
    job = EmbedJob("m", mixed_job(png(0)).inputs, prompt_name="none such")
    [error] = runner.prepare([job])
    assert isinstance(error, InvalidInput)
    runner._threads.submit(int).result()
    assert decoded == []
