"""Chat templates of several habits, and where they put images."""

from io import BytesIO
from typing import Any

import pytest
from mlx_lm.tokenizer_utils import TokenizerWrapper
from PIL import Image
from transformers import PreTrainedTokenizerFast

from jobs.content import ImagePart, TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, GenerateJob, Message, Prompt
from tests.checkpoints import vocabularies
from workers.runners.generate.prompts import prompt_ids
from workers.runners.generate.vision.image_prompts import ImagePrompts

PLACEHOLDER = "<image>"
TOKENIZER = vocabularies.byte_bpe(["<eos>", PLACEHOLDER], [], [])
PLACEHOLDER_ID = 1

PARTS = (
    "{% for m in messages %}{% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}<image>{% else %}{{ p['text'] }}{% endif %}{% endfor %}|{% endfor %}"
)
IMAGES_FIRST = (
    "{% for m in messages %}{% for p in m['content'] if p['type'] == 'image' %}<image>{% endfor %}"
    "{% for p in m['content'] if p['type'] == 'text' %}{{ p['text'] }}{% endfor %}|{% endfor %}"
)
STRINGS = "{% for m in messages %}{{ m['content'] }}|{% endfor %}"
STRICT_STRINGS = "{% for m in messages %}{{ m['content'] + '|' }}{% endfor %}"
BLIND = "{% for m in messages %}{{ m['content'] | replace('<image>', '') }}|{% endfor %}"


class Processor:
    """Three tokens in the place of each placeholder."""

    image_token = PLACEHOLDER

    def __call__(self, text: list[str], images: list[Image.Image], **_: Any) -> dict[str, Any]:
        ids = TOKENIZER.encode(text[0].replace(PLACEHOLDER, 3 * PLACEHOLDER), add_special_tokens=False).ids
        return {
            "input_ids": [ids],
            "attention_mask": [[1] * len(ids)],
            "sizes": [each.size for each in images],
        }


def prompts(template: str) -> ImagePrompts:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=TOKENIZER, eos_token="<eos>")
    tokenizer.chat_template = template
    return ImagePrompts(
        TokenizerWrapper(tokenizer), Processor(), [PLACEHOLDER_ID], TOKENIZER.get_vocab_size()
    )


def image(width: int) -> ImagePart:
    file = BytesIO()
    Image.new("RGB", (width, 5)).save(file, "PNG")
    return ImagePart(file.getvalue())


CHAT = Chat(
    (
        Message("user", (TextPart("a cat"), image(4), TextPart("and"), image(7), TextPart("a dog"))),
        Message("assistant", (TextPart("yes"),)),
        Message("user", (image(9), TextPart("now"))),
    )
)


@pytest.mark.parametrize("template", [PARTS, STRINGS, STRICT_STRINGS])
def test_images_stay_where_their_author_put_them(template: str):
    found = prompts(template).read(GenerateJob("m", CHAT))
    three = PLACEHOLDER * 3
    assert TOKENIZER.decode(list(found.ids), skip_special_tokens=False) == (
        f"a cat{three}and{three}a dog|yes|{three}now|"
    )
    assert found.image_inputs == {"sizes": [(4, 5), (7, 5), (9, 5)]}


def test_template_that_has_a_messages_images_first_has_them_its_way():
    found = prompts(IMAGES_FIRST).read(GenerateJob("m", CHAT))
    three = PLACEHOLDER * 3
    assert TOKENIZER.decode(list(found.ids), skip_special_tokens=False) == (
        f"{three}{three}a catanda dog|yes|{three}now|"
    )


def test_template_without_a_place_for_images_still_takes_text():
    blind = prompts(BLIND)
    assert not blind.takes_images
    chat = Chat((Message("user", (TextPart("the red fox"),)),))
    assert TOKENIZER.decode(list(blind.read(GenerateJob("m", chat)).ids)) == "the red fox|"
    with pytest.raises(InvalidInput, match="no place for an image") as caught:
        blind.read(GenerateJob("m", CHAT))
    assert caught.value.param == "messages"


def test_text_must_follow_the_last_image():
    with pytest.raises(InvalidInput, match="must follow"):
        prompts(STRINGS).read(GenerateJob("m", Prompt(f"cat {PLACEHOLDER}", (image(4).data,))))


def test_prompt_without_placeholders_has_its_images_first():
    found = prompts(PARTS).read(GenerateJob("m", Prompt("two", (image(4).data, image(6).data))))
    assert list(found.ids) == [PLACEHOLDER_ID] * 6 + TOKENIZER.encode("two").ids


def test_what_a_processor_refuses_is_the_callers_mistake():
    class Choosy(Processor):
        def __call__(self, text: list[str], images: list[Image.Image], **_: Any) -> dict[str, Any]:
            raise ValueError("absolute aspect ratio must be smaller than 200")

    choosy = prompts(PARTS)
    choosy._processor = Choosy()
    with pytest.raises(InvalidInput, match="aspect ratio") as caught:
        choosy.read(GenerateJob("m", CHAT))
    assert caught.value.param == "messages"


def test_text_model_refuses_a_prompts_images():
    tokenizer = TokenizerWrapper(PreTrainedTokenizerFast(tokenizer_object=TOKENIZER, eos_token="<eos>"))
    with pytest.raises(InvalidInput) as caught:
        prompt_ids(tokenizer, GenerateJob("m", Prompt("cat", (b"...",))), TOKENIZER.get_vocab_size())
    assert caught.value.param == "images"
