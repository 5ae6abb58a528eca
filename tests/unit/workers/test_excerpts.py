"""Long texts: what is left out makes no difference to what the model reads."""

import random
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

from jobs.errors import InputTooLong, InvalidInput
from jobs.types import Truncate
from tests.checkpoints import vocabularies
from workers.tokens import ModelTokenizer

LIMIT = 12
LONG = 30_000
VOCABULARIES = {
    "word pieces": vocabularies.word_piece,
    "word pieces of any length": lambda: _with_longest_word(300),
    "unigrams": vocabularies.unigram,
    "bytes": lambda: vocabularies.byte_bpe(["<|endoftext|>", "<|im_end|>"], [], ["<|endoftext|>"]),
    "byte fallback": vocabularies.gemma_bpe,
    "no words": lambda: _one_word(),
    "digits from the right": lambda: _grouped_digits(),
}


def _with_longest_word(chars: int) -> Tokenizer:
    found = vocabularies.word_piece()
    found.model.max_input_chars_per_word = chars  # pyright: ignore
    return found


def _one_word() -> Tokenizer:
    """As Llama 2 has it: nothing parts words, and spaces are letters like others."""
    found = vocabularies.gemma_bpe()
    found.pre_tokenizer = None  # pyright: ignore
    found.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return found


def _grouped_digits() -> Tokenizer:
    """A pattern that looks ahead to the end of a number, however long."""
    found = vocabularies.byte_bpe(["<|endoftext|>", "<|im_end|>"], [], ["<|endoftext|>"])
    groups = pre_tokenizers.Split(Regex(r"\d{1,3}(?=(?:\d{3})*(?!\d))"), "isolated")
    found.pre_tokenizer = pre_tokenizers.Sequence([groups, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return found


def _texts() -> dict[str, str]:
    draw = random.Random(7)
    words = " ".join(draw.choices(vocabularies.WORDS, k=LONG // 5))
    return {
        "words": words,
        "sentences": words.replace(" the ", ". The ").replace(" of ", ",\n\nof "),
        "dots": "." * LONG,
        "one word": "fox" * (LONG // 3),
        "a word, then others": "cat" * 4000 + " " + words,
        "other words, then one": words + " " + "cat" * 4000,
        "spaces": "red" + " " * LONG + "fox",
        "spaces between all": "  \n ".join(draw.choices("abcdef", k=LONG // 5)),
        "ideographs": "".join(draw.choices("你好世界红狐狸。", k=LONG)),
        "digits": "".join(draw.choices("0123456789", k=LONG // 3)),
        "numbers": " ".join(str(draw.randrange(10**9)) for _ in range(LONG // 9)),
        "faces": "🦊🐕" * (LONG // 4),
        "accents": "e\u0301" * (LONG // 2),
        "letters alone": "".join(draw.choices("foxcatdg ", k=LONG)),
        "marks": "the [SEP] fox <|im_end|> <eos> </s> " * (LONG // 36),
        "nothing that is kept": "\u200b\u0000" * (LONG // 2),
        "foreign word": "ы" * LONG,
    }


TEXTS = _texts()


def _read(tokenizer: ModelTokenizer, text: str, prompt: str, truncate: Truncate) -> list[int] | str:
    """As the runners read a text, but for the excerpt."""
    ids = next(tokenizer.encode([prompt + text]))
    try:
        if len(ids) <= LIMIT:
            return ids.tolist()
        before = tokenizer.prompt_tokens(prompt, text) if truncate != "none" else 0
        return tokenizer.cut(ids, before, truncate).tolist()
    except InvalidInput as error:
        return error.code


def _read_excerpt(tokenizer: ModelTokenizer, text: str, prompt: str, truncate: Truncate) -> list[int] | str:
    try:
        return _read(tokenizer, tokenizer.shortened(text, truncate, prompt), prompt, truncate)
    except InvalidInput as error:
        return error.code


@pytest.fixture(scope="module", params=list(VOCABULARIES))
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelTokenizer:
    source = VOCABULARIES[request.param]()
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    source.save(str(path))
    return ModelTokenizer(path, LIMIT, source.get_vocab_size())


@pytest.mark.parametrize("prompt", ["", "query: ", "the "])
@pytest.mark.parametrize("text", list(TEXTS))
def test_an_excerpt_reads_as_its_text_does(tokenizer: ModelTokenizer, text: str, prompt: str):
    for truncate in ("none", "end", "start"):
        whole = _read(tokenizer, TEXTS[text], prompt, truncate)
        assert _read_excerpt(tokenizer, TEXTS[text], prompt, truncate) == whole, truncate


@pytest.mark.parametrize("text", ["words", "dots", "numbers", "marks"])
def test_what_a_long_text_leaves_over_is_never_tokenised(tokenizer: ModelTokenizer, text: str):
    short = 8 * LIMIT + 2 * 8 * (256 + 300) + 3 * 4096
    for side in ("end", "start"):
        found = tokenizer.excerpt(TEXTS[text] * 500, side)
        assert found.overlong
        assert len(found.text) < short


def test_what_a_tokenizer_drops_is_never_tokenised(tmp_path: Path):
    tokenizer = _minilm_like(tmp_path)
    for text in (" \n" * 10**6, "a" * 2 * 10**6, ("ы" * 10**5 + "\t" * 10**5) * 5):
        found = tokenizer.excerpt(text)
        assert not found.overlong
        assert len(found.text) < 2000


def test_prompt_that_is_certainly_too_long_is_refused(tmp_path: Path):
    with pytest.raises(InputTooLong, match="prompt has more than 12 tokens"):
        _minilm_like(tmp_path).shortened("fox", "end", prompt="red " * LONG)


@pytest.mark.parametrize("truncate", ["end", "start"])
def test_long_lists_of_ids_read_as_they_are(tmp_path: Path, truncate: Truncate):
    tokenizer = _minilm_like(tmp_path)
    for ids in ([5, 6, 7] * 1000, [2, *[5, 6, 7] * 1000, 3]):
        whole = tokenizer.cut(tokenizer.wrap(ids, "the ")[0], 1, truncate)
        shorter = tokenizer.shortened_ids(ids, truncate)
        assert len(shorter) < 100
        assert np.array_equal(tokenizer.cut(tokenizer.wrap(shorter, "the ")[0], 1, truncate), whole)


def test_long_lists_of_ids_are_refused_with_their_number(tmp_path: Path):
    with pytest.raises(InputTooLong, match="3000 tokens"):
        _minilm_like(tmp_path).shortened_ids([5] * 3000, "none")


@pytest.mark.parametrize("truncate", ["none", "end", "start"])
@pytest.mark.parametrize("stray", [-1, 10**9])
def test_long_lists_of_ids_hold_no_stray_id_in_what_is_left_out(
    tmp_path: Path, stray: int, truncate: Truncate
):
    with pytest.raises(InvalidInput, match="outside the model's vocabulary"):
        _minilm_like(tmp_path).shortened_ids([5] * 1000 + [stray] + [5] * 1000, truncate)


def _minilm_like(folder: Path) -> ModelTokenizer:
    source = vocabularies.word_piece()
    source.save(str(folder / "tokenizer.json"))
    return ModelTokenizer(folder / "tokenizer.json", LIMIT, source.get_vocab_size())
