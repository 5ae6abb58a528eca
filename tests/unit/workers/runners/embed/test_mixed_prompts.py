"""Texts and images are read with the words that Qwen3-VL-Embedding was trained with."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from tokenizers import Tokenizer

from jobs.content import ImagePart, MixedInput, TextPart
from jobs.embed import PatchGrid, Truncate
from jobs.errors import InputTooLong, InvalidInput
from tests.checkpoints import vocabularies
from tests.checkpoints.qwen3_vl import TOKENS
from workers.runners.embed.mixed_prompts import INSTRUCTION, EmbedPrompts, system_words
from workers.runners.vision.patches import Patching

LIMIT = 90
TOKENIZER = vocabularies.byte_bpe(TOKENS, [], [])
CHAT = (
    "<|im_start|>system\nRepresent the user's input.<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
PLACEHOLDER, START, END = "<|image_pad|>", "<|vision_start|>", "<|vision_end|>"


@pytest.fixture
def prompts(tmp_path: Path) -> EmbedPrompts:
    return open_prompts(tmp_path, TOKENIZER)


def open_prompts(folder: Path, tokenizer: Tokenizer, limit: int = LIMIT) -> EmbedPrompts:
    tokenizer.save(str(folder / "tokenizer.json"))
    return EmbedPrompts(
        folder / "tokenizer.json",
        Patching(16, 2, 32 * 32, 32 * 32 * 20),
        max_tokens=limit,
        vocab_size=TOKENIZER.get_vocab_size(),
        image_token=TOKENIZER.token_to_id(PLACEHOLDER) or 0,
    )


def image(rows: int, columns: int) -> ImagePart:
    file = BytesIO()
    Image.new("RGB", (columns * 32, rows * 32), "red").save(file, "PNG")
    return ImagePart(file.getvalue())


def ids(text: str, tokenizer: Tokenizer = TOKENIZER) -> list[int]:
    return tokenizer.encode(text).ids


@pytest.mark.parametrize("text", ["the red fox", "\n\n fox ", "été 你好"])
def test_text_is_a_user_s_turn_as_it_was_written(prompts: EmbedPrompts, text: str):
    assert prompts.text(text, INSTRUCTION, "none").ids.tolist() == ids(CHAT.format(text))


def test_placeholder_of_two_texts_is_refused(prompts: EmbedPrompts):
    with pytest.raises(InvalidInput, match="stands for an image"):
        prompts.mixed(MixedInput((TextPart("<|image_"), TextPart("pad|>"), image(2, 2))), INSTRUCTION)


def test_empty_text_is_read_as_null(prompts: EmbedPrompts):
    assert prompts.text("", INSTRUCTION, "none").ids.tolist() == ids(CHAT.format("NULL"))


@pytest.mark.parametrize(
    ("instruction", "words"),
    [
        (None, "Represent the user's input."),
        ("  ", "Represent the user's input."),
        ("Find songs", "Find songs."),
        (" Find songs! ", "Find songs!"),
        ("Find songs:", "Find songs:"),
        ("找歌。", "找歌。"),
        ("a > b", "a > b."),
        ("cost in $", "cost in $."),
    ],
)
def test_instruction_ends_like_a_sentence(instruction: str | None, words: str):
    assert system_words(instruction) == words


def test_instruction_is_the_system_s_turn(prompts: EmbedPrompts):
    expected = CHAT.replace(INSTRUCTION, "Find songs.").format("fox")
    assert prompts.text("fox", system_words("Find songs"), "none").ids.tolist() == ids(expected)


def test_token_ids_are_read_like_their_text(prompts: EmbedPrompts):
    given = tuple(ids("fox dog"))
    assert prompts.text(given, INSTRUCTION, "none").ids.tolist() == ids(CHAT.format("fox dog"))


def test_special_tokens_of_the_tokenizer_s_own_are_around_the_chat(tmp_path: Path):
    tokenizer = vocabularies.byte_bpe(TOKENS, ["<think>"], ["<|endoftext|>"])
    prompts = open_prompts(tmp_path, tokenizer)
    whole = ids(CHAT.format("fox dog"), tokenizer)
    assert whole[0] == tokenizer.token_to_id("<think>")
    assert prompts.text("fox dog", INSTRUCTION, "none").ids.tolist() == whole
    assert prompts.text(tuple(ids("fox dog")), INSTRUCTION, "none").ids.tolist() == whole
    cut = prompts.text("fox dog " * 60, INSTRUCTION, "end").ids.tolist()
    assert cut[:40] == ids(CHAT.format("fox dog " * 60), tokenizer)[:40]
    assert cut[-12:] == whole[-12:]


def test_images_and_texts_keep_their_order(prompts: EmbedPrompts):
    page = MixedInput((TextPart("fox"), image(1, 2), TextPart(" dog"), image(2, 2), TextPart("cat")))
    found = prompts.mixed(page, INSTRUCTION)
    content = f"fox{START}{PLACEHOLDER * 2}{END} dog{START}{PLACEHOLDER * 4}{END}cat"
    assert found.ids.tolist() == ids(CHAT.format(content))
    at = [place for place, token in enumerate(found.ids.tolist()) if token == ids(PLACEHOLDER)[0]]
    assert found.grids == (PatchGrid(at[0], 1, 2), PatchGrid(at[2], 2, 2))
    assert [(each.rows, each.columns, each.values.shape) for each in found.images] == [
        (1, 2, (8, 768)),
        (2, 2, (16, 768)),
    ]


@pytest.mark.parametrize("placeholder", [PLACEHOLDER, "<|video_pad|>"])
def test_placeholder_of_an_image_is_refused_wherever_it_comes(prompts: EmbedPrompts, placeholder: str):
    with pytest.raises(InvalidInput, match="stands for an image"):
        prompts.text(f"fox {placeholder}", INSTRUCTION, "none")
    with pytest.raises(InvalidInput, match="stands for an image"):
        prompts.mixed(MixedInput((image(1, 1), TextPart(placeholder))), INSTRUCTION)
    with pytest.raises(InvalidInput, match="image"):
        prompts.text(tuple(ids(placeholder)), INSTRUCTION, "none")
    with pytest.raises(InvalidInput, match="stands for an image") as caught:
        system_words(f"find {placeholder}")
    assert caught.value.param == "instruction"


def test_placeholder_of_an_image_is_refused_in_what_is_left_out_of_long_ids(prompts: EmbedPrompts):
    long = [*ids("fox" * 1000), *ids(PLACEHOLDER), *ids("fox" * 1000)]
    with pytest.raises(InvalidInput, match="stands for an image"):
        prompts.text(tuple(long), INSTRUCTION, "end")


@pytest.mark.parametrize("as_ids", [False, True])
def test_long_text_is_refused_or_cut_within_its_turn(prompts: EmbedPrompts, as_ids: bool):
    text = " ".join(["fox"] * 60 + ["dog"] * 60)
    value = tuple(ids(text)) if as_ids else text
    with pytest.raises(InputTooLong, match="truncate"):
        prompts.text(value, INSTRUCTION, "none")
    before, after = ids(CHAT.split("{}")[0]), ids(CHAT.split("{}")[1])
    ways: tuple[tuple[Truncate, str], ...] = (("end", " fox"), ("start", " dog"))
    for truncate, word in ways:
        found = prompts.text(value, INSTRUCTION, truncate).ids.tolist()
        assert len(found) == LIMIT
        assert found[: len(before)] == before
        assert found[-len(after) :] == after
        assert set(found[len(before) : -len(after)]) - set(ids("fox")) <= set(ids(word))


def test_a_text_has_no_more_tokens_than_the_job_says(prompts: EmbedPrompts):
    before, after = (ids(part) for part in CHAT.split("{}"))
    whole = prompts.text("fox fox fox dog", INSTRUCTION, "none").ids.tolist()
    limit = len(before) + 2 + len(after)
    short = prompts.text("fox fox fox dog", INSTRUCTION, "end", limit).ids.tolist()
    assert short == [*whole[: len(before) + 2], *after]
    with pytest.raises(InputTooLong, match=f"max_tokens is {limit}"):
        prompts.text("fox fox fox dog", INSTRUCTION, "none", limit)


def test_instruction_that_leaves_no_room_is_refused(prompts: EmbedPrompts):
    with pytest.raises(InputTooLong, match="leaves no room"):
        prompts.text("fox", "the red fox " * 60, "end")


def test_input_with_images_over_the_limit_is_refused(prompts: EmbedPrompts):
    with pytest.raises(InputTooLong, match="tokens with its images"):
        prompts.mixed(MixedInput((image(4, 5), image(4, 5), TextPart("fox " * 30))), INSTRUCTION)


def test_tokenizer_without_image_placeholders_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInput, match="image_pad"):
        open_prompts(tmp_path, vocabularies.byte_bpe(["<|endoftext|>"], [], []))
