"""A query and a document put into one input by the model's own tokenizer."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, processors

from jobs.errors import InputTooLong, InvalidInput
from tests.checkpoints import vocabularies
from workers.runners.rerank.item import Question, RerankItem
from workers.runners.rerank.pairs import PairReader

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENIZERS = {
    "bert": vocabularies.word_piece,
    "xlm-roberta": vocabularies.unigram,
    "modernbert": lambda: vocabularies.byte_bpe(SPECIALS, ["[CLS]"], ["[SEP]"], "[CLS] $A [SEP] $B [SEP]"),
}
LIMIT = 40
ROOM = 35
"""What [CLS] red fox [SEP] [SEP] leaves of it."""


def reader(folder: Path, source: Tokenizer, token_types: int = 2) -> PairReader:
    path = folder / "tokenizer.json"
    source.save(str(path))
    return PairReader(path, LIMIT, source.get_vocab_size(), lowercase=False, token_types=token_types)


def items(reader: PairReader, question: Question) -> list[RerankItem]:
    [found] = reader.read([question])
    assert isinstance(found, list)
    return found


def question(query: str, *documents: str, instruction: str | None = None, truncate: bool = False) -> Question:
    return Question(query, documents, instruction, truncate)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("query", ["red fox", "", "été 🙂"])
@pytest.mark.parametrize("document", ["a cold river", "", "x [SEP] </s> y"])
def test_pair_is_what_the_tokenizer_makes_of_two_texts(tmp_path: Path, name: str, query: str, document: str):
    source = TOKENIZERS[name]()
    [item] = items(reader(tmp_path, source), question(query, document))
    whole = source.encode(query, document)
    assert item.ids.tolist() == whole.ids
    assert item.types is not None and item.types.tolist() == whole.type_ids


def test_model_without_token_types_gets_none(tmp_path: Path):
    [item] = items(reader(tmp_path, vocabularies.word_piece(), token_types=0), question("fox", "dog"))
    assert item.types is None


def test_more_types_than_the_model_has_are_refused(tmp_path: Path):
    with pytest.raises(InvalidInput, match="2 types of tokens apart, and the model 1"):
        reader(tmp_path, vocabularies.word_piece(), token_types=1)


def test_tokenizer_without_a_template_for_pairs_is_refused(tmp_path: Path):
    source = vocabularies.word_piece()
    source.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $B [SEP] $A [SEP]",
        special_tokens=[(name, source.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    with pytest.raises(InvalidInput, match="no template for a query and a document"):
        reader(tmp_path, source)


def test_longest_document_that_fits_is_read_whole_and_one_more_token_is_an_error(tmp_path: Path):
    pairs = reader(tmp_path, vocabularies.word_piece())
    [item] = items(pairs, question("red fox", "dog " * ROOM))
    assert item.length == LIMIT
    [error] = pairs.read([question("red fox", "cat", "dog " * (ROOM + 1))])
    assert isinstance(error, InputTooLong)
    assert error.message.startswith("Document 1: 41 tokens with the query, and the model reads at most 40.")


def test_cut_goes_from_the_documents_end_only(tmp_path: Path):
    pairs = reader(tmp_path, vocabularies.word_piece())
    [cut, whole] = items(pairs, question("red fox", "cat " * ROOM + "dog " * 5, "cat " * ROOM, truncate=True))
    assert cut.ids.tolist() == whole.ids.tolist()


def test_questions_are_read_together_and_fail_alone(tmp_path: Path):
    pairs = reader(tmp_path, vocabularies.word_piece())
    told, long, sound = pairs.read(
        [question("fox", "a", "b", instruction="x"), question("fox", "dog " * 50), question("fox", "dog")]
    )
    assert isinstance(told, InvalidInput) and told.param == "instruction"
    assert isinstance(long, InputTooLong)
    assert isinstance(sound, list)
    assert sound[0].ids.tolist() == items(pairs, question("fox", "dog"))[0].ids.tolist()
