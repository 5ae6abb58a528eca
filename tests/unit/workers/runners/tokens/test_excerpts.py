"""Long texts: what is left out makes no difference to what the model reads."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers

from jobs.embed import Truncate
from jobs.errors import InputTooLong, InvalidInput
from tests.checkpoints import vocabularies
from tests.support.scraps import SCRAPS
from workers.runners.tokens.tokenizer import Excerpts, ModelTokenizer

LIMIT = 12
LONG = 36_000
"""Characters: so many that none of these tokenizers reads a text whole at once."""
VOCABULARIES = {
    "word pieces": vocabularies.word_piece,
    "word pieces of any length": lambda: _with_longest_word(150),
    "word pieces with accents": lambda: _normalized(
        normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    ),
    "word pieces as they are": lambda: _normalized(
        normalizers.Sequence(
            [
                normalizers.Lowercase(),
                normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False),
            ]
        )
    ),
    "composed word pieces": lambda: _normalized(normalizers.NFC()),
    "word pieces with words of their own": lambda: _with_words(),
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


def _normalized(normalizer: normalizers.Normalizer) -> Tokenizer:
    found = vocabularies.word_piece()
    found.normalizer = normalizer  # pyright: ignore
    return found


def _with_words() -> Tokenizer:
    found = vocabularies.word_piece()
    found.add_tokens(["cat", AddedToken("é fox", normalized=False), AddedToken("[dog]", single_word=True)])
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
        "a word, then others": "cat" * (LONG // 2) + " " + words,
        "other words, then one": words + " " + "cat" * (LONG // 2),
        "spaces": "red" + " " * LONG + "fox",
        "spaces between all": "  \n ".join(draw.choices("abcdef", k=LONG // 5)),
        "ideographs": "".join(draw.choices("你好世界红狐狸。", k=LONG)),
        "digits": "".join(draw.choices("0123456789", k=31_000)),
        "numbers": " ".join(str(draw.randrange(10**9)) for _ in range(LONG // 9)),
        "faces": "🦊🐕" * (LONG // 4),
        "accents": "e\u0301" * (LONG // 2),
        "letters alone": "".join(draw.choices("foxcatdg ", k=LONG)),
        "marks": "the [SEP] fox <|im_end|> <eos> </s> " * (LONG // 36),
        "nothing that is kept": "\u200b\u0000" * (LONG // 2),
        "foreign word": "ы" * LONG,
        "accented word": "é" * LONG,
        "parted word": "e\u0301\u200b" * (LONG // 3) + " fox",
        "syllables": "한국어" * (LONG // 3),
        "spaces of other kinds": "red" + "\u00a0\u3000\u2003\u0085" * (LONG // 4) + "fox",
        "spaces with nothing between": "red" + " \u200b\u00ad\t" * (LONG // 4) + "fox",
        "parted marks": "fox [\u200b\u200bSEP] [S\u200b"
        + "\u200b" * LONG
        + "EP] [SEP"
        + "P" * LONG
        + "] [SEP]dog",
    }


def _mixture(seed: int) -> str:
    """Scraps, most of them repeated: some a few times, some so often that most of the text is one of them."""
    draw = random.Random(seed)
    found = ""
    while len(found) < LONG:
        few = draw.choices(SCRAPS, k=draw.randint(1, 5))
        times = draw.choice([1, 1, 2, 90, 110, 700, 9000])
        found += "".join(draw.choice(few) for _ in range(times)) if draw.random() < 0.5 else few[0] * times
    return found


TEXTS = _texts()


def _read(tokenizer: ModelTokenizer, text: str, prompt: str, *truncates: Truncate) -> list[list[int] | str]:
    """As the runners read a text, but for the excerpt."""
    ids = next(tokenizer.encode([prompt + text]))
    return [_cut(tokenizer, ids, text, prompt, truncate) for truncate in truncates]


def _cut(
    tokenizer: ModelTokenizer, ids: NDArray[np.int32], text: str, prompt: str, truncate: Truncate
) -> list[int] | str:
    try:
        if len(ids) <= LIMIT:
            return ids.tolist()
        before = tokenizer.prompt_tokens(prompt, text) if truncate != "none" else 0
        return tokenizer.cut(ids, before, truncate).tolist()
    except InvalidInput as error:
        return error.code


def _read_excerpt(tokenizer: ModelTokenizer, text: str, prompt: str, truncate: Truncate) -> list[int] | str:
    try:
        return _read(tokenizer, tokenizer.shortened(text, truncate, prompt), prompt, truncate)[0]
    except InvalidInput as error:
        return error.code


def _check_excerpts(tokenizer: ModelTokenizer, text: str, prompt: str) -> None:
    whole = _read(tokenizer, text, prompt, "none", "end", "start")
    assert _read_excerpt(tokenizer, text, prompt, "none") == whole[0]
    assert _read_excerpt(tokenizer, text, prompt, "end") == whole[1]
    assert _read_excerpt(tokenizer, text, prompt, "start") == whole[2]


@pytest.fixture(scope="module", params=list(VOCABULARIES))
def vocabulary(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def tokenizer(vocabulary: str, tmp_path_factory: pytest.TempPathFactory) -> ModelTokenizer:
    source = VOCABULARIES[vocabulary]()
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    source.save(str(path))
    return ModelTokenizer(path, LIMIT, source.get_vocab_size())


@pytest.mark.parametrize("text", list(TEXTS))
def test_an_excerpt_reads_as_its_text_does(tokenizer: ModelTokenizer, vocabulary: str, text: str):
    """With and without a prompt by turns: each tokenizer and each text has both."""
    number = list(VOCABULARIES).index(vocabulary) + list(TEXTS).index(text)
    _check_excerpts(tokenizer, TEXTS[text], ["", "the "][number % 2])


@pytest.mark.parametrize("seed", range(6))
def test_an_excerpt_of_a_mixture_reads_as_it_does(tokenizer: ModelTokenizer, seed: int):
    _check_excerpts(tokenizer, _mixture(seed), "the ")


@pytest.mark.parametrize("text", ["words", "dots", "numbers", "marks"])
def test_what_a_long_text_leaves_over_is_never_tokenised(tokenizer: ModelTokenizer, text: str):
    short = 8 * LIMIT + 2 * 8 * (256 + 150) + 3 * 4096
    for side in ("end", "start"):
        found = tokenizer.excerpt(TEXTS[text] * 500, side)
        assert found.overlong
        assert len(found.text) < short


@pytest.mark.parametrize(
    "text",
    [
        " \n" * 10**6,
        "a" * 10**6,
        ("ы" * 10**5 + "\t" * 10**5) * 5,
        "é" * 10**6,
        "e\u0301" * 10**6,
        "한" * 10**6,
        "\u00a0" * 10**6,
        "\u3000\u2003" * 10**6,
        "\u200b" * 10**6,
        " \u200b\u00ad" * 10**6,
        "".join(map(chr, range(0xAC00, 0xD7A4))) * 50,
    ],
    ids=lambda text: f"{len(text)} from {text[:2]!a}",
)
def test_what_a_tokenizer_drops_or_joins_is_never_tokenised(tmp_path: Path, text: str):
    reading = _Reading(_minilm_like(tmp_path))
    for side in ("end", "start"):
        found = reading.excerpts.of(text, LIMIT + 1, side)
        assert not found.overlong
        assert len(found.text) < 2000
    assert reading.chars < 50_000


@pytest.mark.parametrize(
    "name", ["words", "sentences", "accented word", "spaces of other kinds", "syllables"]
)
@pytest.mark.parametrize("chars", [5_000, 8_000, 9_000, 12_000, 20_000, 36_000, 60_000, 300_000])
def test_an_excerpt_costs_less_than_its_text(tmp_path: Path, name: str, chars: int):
    text = (TEXTS[name] * 10)[:chars]
    for side in ("end", "start"):
        reading = _Reading(_minilm_like(tmp_path))
        found = reading.excerpts.of(text, LIMIT + 1, side)
        assert reading.chars + len(found.text) <= chars


def test_less_than_a_text_is_tokenised_before_it_is_read_whole(tmp_path: Path):
    tokenizer = _minilm_like(tmp_path)
    for chars in (9_000, 36_000, 150_000, 600_000):
        reading = _Reading(tokenizer, one_token=True)
        text = TEXTS["words"] * 20
        assert reading.excerpts.of(text[:chars], LIMIT + 1) == (text[:chars], False)
        assert reading.chars < 0.6 * chars


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


class _Reading:
    """Excerpts that count the characters that the tokenizer was given. one_token: it makes one of each text."""

    def __init__(self, tokenizer: ModelTokenizer, one_token: bool = False) -> None:
        self.chars = 0
        self._tokenizer = tokenizer
        self._one_token = one_token
        self.excerpts = Excerpts(tokenizer._tokenizer, self._encode)  # pyright: ignore[reportPrivateUsage]

    def _encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        self.chars += sum(map(len, texts))
        if self._one_token:
            return [np.zeros(1, dtype=np.int32) for _ in texts]
        return list(self._tokenizer.encode(texts))


def _minilm_like(folder: Path) -> ModelTokenizer:
    source = vocabularies.word_piece()
    source.save(str(folder / "tokenizer.json"))
    return ModelTokenizer(folder / "tokenizer.json", LIMIT, source.get_vocab_size())
