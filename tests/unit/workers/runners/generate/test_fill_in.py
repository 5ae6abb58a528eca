"""Prompts of models that fill in between two texts."""

import pytest
from tokenizers import Tokenizer, processors

from jobs.errors import InvalidInput
from tests.support.fake_generator import byte_tokenizer
from workers.runners.generate.fill_in import fill_in_ends, fill_in_ids, fill_in_tokens

FAMILIES = {
    "qwen": ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    "starcoder": ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    "deepseek": ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
}


def tokenizer_of(*names: str) -> Tokenizer:
    found = byte_tokenizer()
    found.add_special_tokens(list(names))
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_reads_what_is_before_and_behind_and_writes_the_middle(family: str):
    before, behind, middle = FAMILIES[family]
    tokenizer = tokenizer_of(*FAMILIES[family])
    ids = fill_in_ids(tokenizer, "def f(", "): pass")
    assert tokenizer.decode(ids, skip_special_tokens=False) == f"{before}def f({behind}): pass{middle}"
    specials = [tokenizer.token_to_id(token) for token in FAMILIES[family]]
    assert [each for each in ids if each in specials] == specials


def test_what_the_tokenizer_puts_before_a_text_stays_and_what_it_puts_behind_goes():
    tokenizer = tokenizer_of("<s>", "</s>", *FAMILIES["qwen"])
    specials = [(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=specials)
    ids = fill_in_ids(tokenizer, "a", "b")
    assert (ids[0], ids[-1]) == (tokenizer.token_to_id("<s>"), tokenizer.token_to_id("<|fim_middle|>"))


def test_a_model_that_only_continues_says_so():
    tokenizer = tokenizer_of("<|fim_prefix|>", "<|fim_suffix|>")
    assert fill_in_tokens(tokenizer) is None
    with pytest.raises(InvalidInput, match="only continues") as raised:
        fill_in_ids(tokenizer, "a", "b")
    assert raised.value.param == "suffix"


def test_the_next_file_ends_what_is_filled_in():
    tokenizer = tokenizer_of(*FAMILIES["qwen"], "<|file_sep|>", "<|im_end|>")
    assert fill_in_ends(tokenizer) == (*FAMILIES["qwen"], "<|file_sep|>")
