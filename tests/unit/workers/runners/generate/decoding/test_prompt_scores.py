"""What is read from a prompt's logits, and how it is told."""

import mlx.core as mx
import numpy as np
import pytest
from tokenizers import Tokenizer, models

from tests.support.fake_generator import byte_tokenizer
from workers.runners.generate.decoding import prompt_scores
from workers.runners.generate.decoding.prompt_scores import add_scores, max_scored_tokens
from workers.runners.generate.output.prompt_logprobs import PromptScores
from workers.runners.generate.output.token_logprobs import LogprobsReader
from workers.runners.tokens.token_bytes import TokenBytes

TOKENIZER = byte_tokenizer()
VOCAB_SIZE = TOKENIZER.get_vocab_size()


@pytest.mark.parametrize("top", [0, 1, 5])
def test_logits_are_looked_at_in_slices(monkeypatch: pytest.MonkeyPatch, top: int):
    monkeypatch.setattr(prompt_scores, "SLICE_BYTES", 4 * 3 * VOCAB_SIZE)
    chance = np.random.default_rng(1)
    logits = chance.normal(size=(10, VOCAB_SIZE)).astype(np.float32)
    ids = chance.integers(0, VOCAB_SIZE, 12).tolist()
    scores = PromptScores(ids, top)
    add_scores(scores, 0, mx.array(logits[:4]))
    add_scores(scores, 4, mx.array(logits[4:]))
    add_scores(scores, 10, mx.array(logits[:1]))
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    told = scores.describe(LogprobsReader(TOKENIZER), "")
    for token, row in zip(told[1:], [*logprobs, logprobs[0]], strict=True):
        order = np.argsort(-row)
        assert token.logprob == pytest.approx(row[token.id], abs=1e-4)
        assert token.rank == 1 + order.tolist().index(token.id)
        assert [each.id for each in token.top] == order[:top].tolist()
        assert [each.logprob for each in token.top] == pytest.approx(row[order[:top]].tolist(), abs=1e-4)


def test_a_step_of_scored_tokens_takes_little_more_memory_than_their_logits():
    vocab_size = 262_144
    tokens = max_scored_tokens(vocab_size) // 4
    logits = mx.zeros((tokens, vocab_size))
    mx.eval(logits)
    mx.reset_peak_memory()
    held = mx.get_active_memory()
    add_scores(PromptScores([0] * (tokens + 1), 5), 0, logits)
    assert mx.get_peak_memory() - held < 6 * prompt_scores.SLICE_BYTES
    assert tokens * 4 * vocab_size * 4 <= prompt_scores.MAX_LOGITS_BYTES


def test_a_tokens_text_is_looked_up_once(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    of_id = TokenBytes.of_id

    def counted(self: TokenBytes, token: int) -> bytes:
        asked.append(token)
        return of_id(self, token)

    monkeypatch.setattr(TokenBytes, "of_id", counted)
    reader = LogprobsReader(TOKENIZER)
    scores = PromptScores([40, 41] * 50, 2)
    add_scores(scores, 0, mx.array(np.tile(np.arange(VOCAB_SIZE, dtype=np.float32), (99, 1))))
    scores.describe(reader, "")
    assert sorted(asked) == [40, 41, VOCAB_SIZE - 2, VOCAB_SIZE - 1]


def test_a_space_that_the_tokenizer_adds_hides_no_token_of_the_text():
    names = ["▁one", "▁two", "<s>", "</s>"]
    tokenizer = Tokenizer(models.WordLevel({name: n for n, name in enumerate(names)}, unk_token="<s>"))  # pyright: ignore[reportCallIssue]
    tokenizer.add_special_tokens(["<s>", "</s>"])
    scores = PromptScores([2, 0, 3, 1, 3], 0)
    add_scores(scores, 0, mx.zeros((4, 4)))
    told = scores.describe(LogprobsReader(tokenizer), "one</s>two</s>")
    assert [token.hidden for token in told] == [True, False, False, False, False]
