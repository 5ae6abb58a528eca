"""What a model's tokenizer says of texts and of tokens."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from jobs.content import TextPart
from jobs.errors import InvalidInput
from jobs.generate import Chat, Message, Tool, ToolCall
from jobs.tokenize import DetokenizeJob, DetokenizeResult, TokenizedText, TokenizeJob, TokenizeResult
from workers.runners.tokens import tokenizing
from workers.runners.tokens.token_bytes import TokenBytes
from workers.runners.tokens.tokenizing import answered

BOS, MASK = 256, 257


def byte_level() -> Tokenizer:
    """A token for each byte, `<s>` before every text, and `<mask>` where a text spells it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    found = Tokenizer(models.BPE(vocab={character: n for n, character in enumerate(alphabet)}, merges=[]))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    found.add_special_tokens([AddedToken("<s>"), AddedToken("<mask>")])
    found.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    return found


class Model:
    """A runner with a tokenizer and a chat template."""

    def __init__(self) -> None:
        self.text_tokenizer = byte_level()

    def chat_ids(self, chat: Chat) -> Sequence[int]:
        return [BOS, MASK] if chat.special_tokens else [MASK]


def ask(**fields: Any) -> tuple[TokenizedText, ...]:
    found = answered(Model(), TokenizeJob("m", "embed", **fields))
    assert isinstance(found, TokenizeResult)
    return found.texts


def ids(text: TokenizedText) -> list[int]:
    return np.frombuffer(text.ids, dtype="<u4").tolist()


def text_of(*tokens: int, **fields: Any) -> str:
    found = answered(Model(), DetokenizeJob("m", "embed", (tokens,), **fields))
    assert isinstance(found, DetokenizeResult)
    [text] = found.texts
    return text


def test_texts_become_tokens_in_their_order():
    first, second, empty = ask(texts=("ab", "é", ""))
    assert [each.tokens for each in (first, second, empty)] == [(), (), ()]
    assert (len(ids(first)), len(ids(second)), ids(empty)) == (3, 3, [BOS])
    assert ids(first)[0] == BOS
    [bare] = ask(texts=("ab",), add_special_tokens=False)
    assert ids(bare) == ids(first)[1:]


def test_each_token_says_what_it_stands_for_and_where():
    [text] = ask(texts=("aé<mask>",), detailed=True)
    assert [each.bytes for each in text.tokens] == [b"<s>", b"a", b"\xc3", b"\xa9", b"<mask>"]
    assert [each.is_added for each in text.tokens] == [True, False, False, False, False]
    assert [(each.begin, each.end) for each in text.tokens[1:]] == [(0, 1), (1, 2), (1, 2), (2, 8)]
    assert text.tokens[0].name == "<s>"


def test_a_chat_is_written_by_the_model():
    chat = Chat((Message("user"),))
    [text] = ask(chat=chat, detailed=True)
    assert (ids(text), [each.name for each in text.tokens]) == ([MASK], ["<mask>"])
    [framed] = ask(chat=Chat((Message("user"),), special_tokens=True))
    assert ids(framed) == [BOS, MASK]


def test_tokens_become_the_text_again():
    [text] = ask(texts=("naïve 🦊",))
    assert text_of(*ids(text)) == "<s>naïve 🦊"
    assert text_of(*ids(text), skip_special_tokens=True) == "naïve 🦊"
    assert text_of() == ""


def test_a_token_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="The token id 258 is not in the model's vocabulary of 258 tokens"):
        text_of(1, 258)


def test_far_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokenizing, "MAX_CHARACTERS", 4)
    ask(texts=("ab", "cd"))
    with pytest.raises(InvalidInput, match="5 characters, and 4 may be tokenised"):
        ask(texts=("ab", "cde"))


def test_many_texts_are_tokenised_in_slices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokenizing, "SLICE_CHARACTERS", 3)
    texts = ("a", "bb", "cccccc", "", "d")
    assert [len(ids(each)) - 1 for each in ask(texts=texts)] == [1, 2, 6, 0, 1]


@pytest.mark.parametrize(
    ("runner", "job", "param"),
    [
        (SimpleNamespace(), TokenizeJob("m", "embed", ("a",)), "model"),
        (
            SimpleNamespace(text_tokenizer=byte_level()),
            TokenizeJob("m", "embed", chat=Chat((Message("user"),))),
            "messages",
        ),
    ],
)
def test_a_model_that_cannot_is_named(runner: Any, job: TokenizeJob, param: str):
    with pytest.raises(InvalidInput) as refusal:
        answered(runner, job)
    assert refusal.value.param == param


def refused(**fields: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as refusal:
        ask(**fields)
    return refusal.value


@pytest.mark.parametrize(
    "chat",
    [
        Chat((Message("user", (TextPart("abcde"),)),)),
        Chat((Message("assistant", reasoning="abcde"),)),
        Chat((Message("assistant", tool_calls=(ToolCall("1", "", "abcde"),)),)),
        Chat((Message("user"),), tools=(Tool("", "abcde", ""),)),
        Chat((Message("user"),), template_options='{"a":1}'),
    ],
)
def test_a_chat_has_the_limit_of_texts(monkeypatch: pytest.MonkeyPatch, chat: Chat):
    monkeypatch.setattr(tokenizing, "MAX_CHARACTERS", 4)
    error = refused(chat=chat)
    assert (error.param, "4 may be tokenised" in error.message) == ("messages", True)


def test_less_may_be_tokenised_where_each_token_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokenizing, "MAX_DETAILED_CHARACTERS", 4)
    ask(texts=("abcde",))
    assert (
        "4 may be tokenised in one request where each token is told"
        in refused(texts=("abcde",), detailed=True).message
    )
    assert refused(chat=Chat((Message("user", (TextPart("abcde"),)),)), detailed=True).param == "messages"


def test_the_vocabulary_is_read_once_for_all_tokens_of_a_chat(monkeypatch: pytest.MonkeyPatch):
    made: list[Tokenizer] = []

    def note(tokenizer: Tokenizer) -> TokenBytes:
        made.append(tokenizer)
        return TokenBytes(tokenizer)

    monkeypatch.setattr(tokenizing, "TokenBytes", note)
    ask(chat=Chat((Message("user"),), special_tokens=True), detailed=True)
    assert len(made) == 1


def test_too_many_tokens_are_not_made_a_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokenizing, "MAX_IDS", 3)
    assert text_of(1, 1, 1)
    with pytest.raises(InvalidInput, match="4 token ids, and 3 may be turned into text"):
        answered(Model(), DetokenizeJob("m", "embed", ((1, 1), (1, 1))))


def test_tokens_that_stand_for_too_much_are_not_made_a_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokenizing, "MAX_MADE_CHARACTERS", 6)
    assert text_of(MASK) == "<mask>"
    with pytest.raises(InvalidInput, match="stand for 12 characters, and 6 may be made"):
        text_of(MASK, MASK)


def test_a_piece_within_a_word_stands_for_its_letters():
    words = Tokenizer(models.WordPiece({"[UNK]": 0, "gi": 1, "##ffa": 2, "##": 3, "#": 4}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words.decoder = decoders.WordPiece()
    assert [TokenBytes(words).of_id(token) for token in (1, 2, 3, 4)] == [b"gi", b"ffa", b"##", b"#"]
