"""The model's tokenizer: special tokens, limits, cutting, ids from callers."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from jobs.errors import InputTooLong, InvalidInput
from tests.checkpoints import vocabularies
from workers.runners.tokens import tokenizer
from workers.runners.tokens.tokenizer import ModelTokenizer

LIMIT = 12


def build(folder: Path, source: Tokenizer, **options: int | bool) -> ModelTokenizer:
    source.save(str(folder / "tokenizer.json"))
    return ModelTokenizer(folder / "tokenizer.json", LIMIT, source.get_vocab_size() + 3, **options)  # pyright: ignore


@pytest.fixture
def bert(tmp_path: Path) -> ModelTokenizer:
    return build(tmp_path, vocabularies.word_piece())


@pytest.fixture
def qwen(tmp_path: Path) -> ModelTokenizer:
    return build(tmp_path, vocabularies.byte_bpe(["<|endoftext|>", "<|im_end|>"], [], ["<|endoftext|>"]))


def one(tokenizer: ModelTokenizer, text: str) -> list[int]:
    return next(tokenizer.encode([text])).tolist()


def test_special_tokens_are_found_on_their_own_sides(bert: ModelTokenizer, qwen: ModelTokenizer):
    assert (bert.prefix.tolist(), bert.suffix.tolist()) == ([2], [3])
    assert (qwen.prefix.tolist(), qwen.suffix.tolist()) == ([], [0])


def test_tokenizers_own_truncation_and_padding_are_off(tmp_path: Path):
    source = vocabularies.word_piece()
    source.enable_truncation(4)
    source.enable_padding(length=30)
    assert len(one(build(tmp_path, source), "a red fox runs over the old street")) == 10


def test_texts_of_many_slices_come_back_in_order(bert: ModelTokenizer, monkeypatch: pytest.MonkeyPatch):
    texts = ["fox", "the " * 30, "", "dog " * 9, "cat", "red fox"]
    whole = [ids.tolist() for ids in bert.encode(texts)]
    monkeypatch.setattr(tokenizer, "SLICE_CHARS", 20)
    assert [ids.tolist() for ids in bert.encode(texts)] == whole


def test_ids_with_and_without_special_tokens_read_the_same(bert: ModelTokenizer):
    full = one(bert, "a red fox")
    for ids in (full, full[1:], full[:-1], full[1:-1]):
        assert bert.wrap(ids, "")[0].tolist() == full


def test_prompt_goes_between_the_special_token_and_the_ids(bert: ModelTokenizer):
    ids, prompt_tokens = bert.wrap(one(bert, "red fox"), "query: ")
    assert ids.tolist() == one(bert, "query: red fox")
    assert prompt_tokens == 2


@pytest.mark.parametrize("token", [-1, 2**40, 10_000])
def test_ids_outside_the_vocabulary_are_refused(bert: ModelTokenizer, token: int):
    with pytest.raises(InvalidInput, match="outside the model's vocabulary"):
        bert.wrap([7, token], "")


def test_rows_that_no_token_stands_for_are_refused(bert: ModelTokenizer):
    assert len(bert.wrap([bert.vocab_size - 4], "")[0]) == 3
    with pytest.raises(InvalidInput):
        bert.wrap([bert.vocab_size - 1], "")


def test_overlong_input_names_its_tokens_and_the_limit(bert: ModelTokenizer):
    with pytest.raises(InputTooLong, match=r"22 tokens.*context length is 12 tokens.*truncate") as caught:
        bert.cut(np.asarray(one(bert, "fox " * 20)), 0, "none")
    assert caught.value.param == "input"


def test_cutting_the_end_keeps_prompt_and_special_tokens(bert: ModelTokenizer):
    text = "red fox runs over the old street near the lake and sings"
    ids = np.asarray(one(bert, "query: " + text))
    kept = bert.cut(ids, bert.prompt_tokens("query: ", text), "end")
    assert kept.tolist() == one(bert, "query: red fox runs over the old street near")


def test_cutting_the_start_keeps_prompt_and_special_tokens(bert: ModelTokenizer):
    text = "red fox runs over the old street near the lake and sings"
    ids = np.asarray(one(bert, "query: " + text))
    kept = bert.cut(ids, bert.prompt_tokens("query: ", text), "start")
    assert kept.tolist() == one(bert, "query: the old street near the lake and sings")


def test_end_token_survives_either_cut(qwen: ModelTokenizer):
    ids = np.asarray(one(qwen, "fox dog " * 20))
    assert qwen.cut(ids, 0, "end").tolist() == [*ids[: LIMIT - 1], 0]
    assert qwen.cut(ids, 0, "start").tolist() == [*ids[-LIMIT:]]


def test_prompt_that_fills_the_limit_is_an_error(bert: ModelTokenizer):
    with pytest.raises(InputTooLong, match="leaves no room"):
        bert.cut(np.asarray(one(bert, "fox " * 20)), 10, "end")


@pytest.mark.parametrize("asked", [None, LIMIT, LIMIT + 1])
def test_a_limit_that_is_not_lower_changes_nothing(bert: ModelTokenizer, asked: int | None):
    assert bert.limited(asked) is bert


def test_a_lower_limit_is_held_and_the_models_own_stays(bert: ModelTokenizer):
    limited = bert.limited(5)
    ids = np.asarray(one(limited, "red fox runs over the old street"))
    assert limited.cut(ids, 0, "end").tolist() == one(bert, "red fox runs")
    assert limited.cut(ids, 0, "start").tolist() == one(bert, "the old street")
    with pytest.raises(InputTooLong, match=r"9 tokens\. max_tokens is 5\."):
        limited.cut(ids, 0, "none")
    assert bert.max_tokens == LIMIT


def test_a_limit_below_the_special_tokens_leaves_no_room(bert: ModelTokenizer):
    with pytest.raises(InvalidInput, match="leaves no room") as caught:
        bert.limited(2)
    assert caught.value.param == "max_tokens"


def test_lowercase_is_applied_where_the_model_asks_for_it(tmp_path: Path):
    tokenizer = build(tmp_path, vocabularies.unigram(), lowercase=True)
    assert one(tokenizer, "RED Fox") == one(tokenizer, "red fox")


def test_folder_without_tokenizer_json_says_so(tmp_path: Path):
    with pytest.raises(InvalidInput, match=r"tokenizer\.json"):
        ModelTokenizer(tmp_path / "tokenizer.json", LIMIT, 100)
