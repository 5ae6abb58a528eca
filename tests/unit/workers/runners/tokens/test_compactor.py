"""What is left out of a text makes no difference to a WordPiece tokenizer's ids."""

import random

import pytest
from tokenizers import AddedToken, Tokenizer, normalizers

from tests.checkpoints import vocabularies
from tests.support.scraps import SCRAPS
from workers.runners.tokens.compactor import Compactor, compactor

NORMALIZERS = {
    "lower case": normalizers.BertNormalizer(lowercase=True),
    "accents kept": normalizers.BertNormalizer(lowercase=False, strip_accents=False),
    "nothing dropped": normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False),
    "in two steps": normalizers.Sequence([normalizers.Lowercase(), normalizers.BertNormalizer()]),
}
CHARS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]


@pytest.mark.parametrize("name", list(NORMALIZERS))
def test_a_compacted_text_has_the_same_ids_wherever_it_stands(name: str):
    tokenizer = _tokenizer(NORMALIZERS[name])
    compact = _compactor(tokenizer)
    for seed in range(200):
        draw = random.Random(seed)
        text = _text(draw, [*SCRAPS, *draw.choices(CHARS, k=5)])
        before, after = draw.choice(["", "the", "the ", "[S", "x" * 60]), draw.choice(["", "the", "]", " x"])
        shorter = compact.compacted(text)
        assert (
            tokenizer.encode(before + shorter + after).ids == tokenizer.encode(before + text + after).ids
        ), seed


def test_a_text_of_many_pieces_is_compacted_as_a_whole():
    tokenizer = _tokenizer()
    text = "e\u0301" * 100_000 + " \u200b" * 100_000 + "한" * 200_000 + "!"
    shorter = _compactor(tokenizer).compacted(text)
    assert len(shorter) < 500
    assert tokenizer.encode(shorter).ids == tokenizer.encode(text).ids


@pytest.mark.parametrize(
    "token", ["cat", "cat]", "[c at]", "[é]", "[" + "c" * 100 + "]", AddedToken("[cat]", single_word=True)]
)
def test_a_token_that_could_be_made_or_broken_leaves_all_as_it_is(token: str | AddedToken):
    tokenizer = _tokenizer()
    assert compactor(tokenizer) is not None
    tokenizer.add_tokens([token])
    assert compactor(tokenizer) is None


@pytest.mark.parametrize("tokenizer", [vocabularies.unigram(), vocabularies.gemma_bpe()])
def test_other_tokenizers_texts_stay_as_they_are(tokenizer: Tokenizer):
    assert compactor(tokenizer) is None


def test_letters_that_a_normalizer_may_join_stay():
    assert compactor(_tokenizer(normalizers.NFC())) is None


def _text(draw: random.Random, scraps: list[str]) -> str:
    found = ""
    for _ in range(draw.randint(1, 12)):
        few, times = (
            draw.choices(scraps, k=draw.randint(1, 4)),
            draw.choice([1, 1, 2, 3, 99, 100, 101, 102, 300]),
        )
        found += "".join(draw.choices(few, k=times))
    return found


def _tokenizer(normalizer: normalizers.Normalizer | None = None) -> Tokenizer:
    found = vocabularies.word_piece()
    if normalizer is not None:
        found.normalizer = normalizer  # pyright: ignore
    return found


def _compactor(tokenizer: Tokenizer) -> Compactor:
    found = compactor(tokenizer)
    assert found is not None
    return found
