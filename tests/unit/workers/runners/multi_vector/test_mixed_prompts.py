"""Queries, texts and images are read with the words that ColQwen2.5 was trained with."""

from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tokenizers import Tokenizer

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import PatchGrid, Truncate
from jobs.errors import InputTooLong, InvalidInput
from tests.checkpoints import vocabularies
from tests.checkpoints.colqwen import TOKENS
from workers.runners.multi_vector.colqwen_checkpoint import TEMPLATE
from workers.runners.multi_vector.mixed_prompts import MultiVectorPrompts, text_of
from workers.runners.vision.image_tokens import grids_of, qwen_image_tokens
from workers.runners.vision.images import has_image
from workers.runners.vision.patches import Patching

LIMIT = 60
TOKENIZER = vocabularies.byte_bpe(TOKENS, [], [])
PAGE = "<|im_start|>user\n<|vision_start|>{}<|vision_end|>Describe the image.<|im_end|><|endoftext|>"


@pytest.fixture
def prompts(tmp_path: Path) -> MultiVectorPrompts:
    return open_prompts(tmp_path, TOKENIZER)


def open_prompts(folder: Path, tokenizer: Tokenizer) -> MultiVectorPrompts:
    tokenizer.save(str(folder / "tokenizer.json"))
    return MultiVectorPrompts(
        folder / "tokenizer.json",
        TEMPLATE,
        partial(qwen_image_tokens, patching=Patching(14, 2, 28 * 28, 28 * 28 * 20)),
        max_tokens=LIMIT,
        vocab_size=TOKENIZER.get_vocab_size(),
        image_token=TOKENIZER.token_to_id("<|image_pad|>") or 0,
    )


def image(rows: int, columns: int) -> ImagePart:
    file = BytesIO()
    Image.new("RGB", (columns * 28, rows * 28), "red").save(file, "PNG")
    return ImagePart(file.getvalue())


def ids(text: str) -> list[int]:
    return TOKENIZER.encode(text).ids


def test_placeholder_of_two_texts_is_refused(prompts: MultiVectorPrompts):
    with pytest.raises(InvalidInput, match="stands for an image"):
        prompts.mixed(MixedInput((TextPart("<|image_"), TextPart("pad|>"), image(2, 2))))


def test_tokens_that_are_no_image_s_are_refused():
    one = qwen_image_tokens(Image.new("RGB", (56, 56)), Patching(14, 2, 28 * 28, 28 * 28 * 20))
    marks = np.array([7, 7, 7, 7, 7], dtype=np.int32)
    assert grids_of(marks[1:], [one], 7) == (PatchGrid(0, 2, 2),)
    with pytest.raises(InvalidInput, match="stands for an image"):
        grids_of(marks, [one], 7)
    with pytest.raises(InvalidInput, match="stands for an image"):
        grids_of(marks, [], 7)


@pytest.mark.parametrize("text", ["the red fox", "", "fox  ", "été 你好"])
def test_query_has_its_prefix_and_ten_tokens_to_think(prompts: MultiVectorPrompts, text: str):
    found = prompts.text(text, is_query=True, truncate="none")
    assert found.ids.tolist() == ids("Query: " + text + "<|endoftext|>" * 10)
    assert found.length == len(found.ids)


def test_document_is_read_as_it_is(prompts: MultiVectorPrompts):
    assert prompts.text("the red fox", is_query=False, truncate="none").ids.tolist() == ids("the red fox")
    with pytest.raises(InvalidInput, match="empty"):
        prompts.text("", is_query=False, truncate="none")


def test_token_ids_are_read_like_their_text(prompts: MultiVectorPrompts):
    given = tuple(ids("fox dog"))
    assert prompts.text(given, is_query=False, truncate="none").ids.tolist() == list(given)
    query = prompts.text(given, is_query=True, truncate="none").ids.tolist()
    assert query == [*ids("Query: "), *given, *ids("<|endoftext|>" * 10)]


def test_image_takes_the_place_of_its_placeholder(prompts: MultiVectorPrompts):
    found = prompts.mixed(MixedInput((image(3, 5),)))
    assert found.ids.tolist() == ids(PAGE.format("<|image_pad|>" * 15))
    [grid] = found.grids
    assert grid == PatchGrid(ids(PAGE.format("<|image_pad|>")).index(ids("<|image_pad|>")[0]), 3, 5)
    assert [(each.rows, each.columns, len(each.values)) for each in found.images] == [(3, 5, 60)]


def test_input_of_images_and_texts_keeps_their_order(prompts: MultiVectorPrompts):
    found = prompts.mixed(MixedInput((TextPart("fox"), image(1, 2), image(2, 2), TextPart("dog"))))
    pad, start, end = "<|image_pad|>", "<|vision_start|>", "<|vision_end|>"
    expected = f"<|im_start|>user\nfox{start}{pad * 2}{end}{start}{pad * 4}{end}dog<|im_end|><|endoftext|>"
    assert found.ids.tolist() == ids(expected)
    assert [(grid.rows, grid.columns) for grid in found.grids] == [(1, 2), (2, 2)]
    for grid in found.grids:
        inside = found.ids[grid.first : grid.first + grid.rows * grid.columns]
        assert set(inside.tolist()) == set(ids(pad))
        assert found.ids[grid.first - 1] == ids(start)[0]


def test_input_without_images_is_its_texts():
    page = MixedInput((TextPart("fox"), TextPart("dog")))
    assert not has_image(page)
    assert text_of(page) == "fox\ndog"


@pytest.mark.parametrize("placeholder", ["<|image_pad|>", "<|video_pad|>"])
def test_placeholder_of_an_image_in_a_text_is_refused(prompts: MultiVectorPrompts, placeholder: str):
    with pytest.raises(InvalidInput, match="stands for an image"):
        prompts.text(f"fox {placeholder}", is_query=True, truncate="none")
    with pytest.raises(InvalidInput, match="stands for an image"):
        prompts.mixed(MixedInput((image(1, 1), TextPart(placeholder))))
    with pytest.raises(InvalidInput, match="image"):
        prompts.text(tuple(ids("<|image_pad|>")), is_query=False, truncate="none")


def test_long_query_is_refused_or_cut_and_keeps_what_is_around_it(prompts: MultiVectorPrompts):
    text = " ".join(["fox"] * 60 + ["dog"] * 60)
    with pytest.raises(InputTooLong):
        prompts.text(text, is_query=True, truncate="none")
    after = ids("<|endoftext|>" * 10)
    before = len(ids("Query: fox")) - 1
    ways: tuple[tuple[Truncate, str], ...] = (("end", "fox"), ("start", "dog"))
    for truncate, word in ways:
        found = prompts.text(text, is_query=True, truncate=truncate).ids
        assert len(found) == LIMIT
        assert found[-10:].tolist() == after
        assert found[:before].tolist() == ids("Query: fox")[:before]
        assert set(found[before:-10].tolist()) - set(ids("Query: fox")) <= set(ids(f" {word}"))


def test_a_text_has_no_more_tokens_than_the_job_says(prompts: MultiVectorPrompts):
    found = prompts.text("fox fox dog", is_query=False, truncate="end", max_tokens=len(ids("fox")))
    assert found.ids.tolist() == ids("fox")
    with pytest.raises(InputTooLong):
        prompts.text("fox fox dog", is_query=False, truncate="none", max_tokens=1)


def test_input_with_images_over_the_limit_is_refused(prompts: MultiVectorPrompts):
    with pytest.raises(InputTooLong, match="tokens with its images"):
        prompts.mixed(MixedInput((image(4, 5), image(4, 5))))


def test_tokenizer_without_image_placeholders_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInput, match="image_pad"):
        open_prompts(tmp_path, vocabularies.byte_bpe(["<|endoftext|>"], [], []))


def test_patches_are_bytes_of_one_frame(prompts: MultiVectorPrompts):
    [patches] = prompts.mixed(MixedInput((image(1, 1),))).images
    assert patches.values.dtype == np.uint8
    assert patches.values.shape == (4, 3 * 14 * 14)
