"""A small tokenizer, and answers that a model of random logits makes under a constraint."""

import json

import mlx.core as mx
import numpy as np
from tokenizers import AddedToken, Tokenizer

from jobs.answer_format import JsonFormat
from tests.checkpoints import vocabularies
from workers.runners.generate.structured_output.constraint import GrammarConstraint, apply_mask

END, TURN = 0, 1
PADDING = 37
PROMPT = [40, 41, 42]


def build_tokenizer() -> Tokenizer:
    """Byte-level BPE; <eos> and <turn> end answers, the other added ones are those of a chat model."""
    tokenizer = vocabularies.byte_bpe(["<eos>", "<turn>"], [], [])
    tokenizer.add_tokens(
        [
            AddedToken(text, special=False)
            for text in ("<tool_call>", "</tool_call>", "</think>", '{"', '":', '"}', '", "')
        ]
    )
    return tokenizer


TOKENIZER = build_tokenizer()
VOCAB_SIZE = TOKENIZER.get_vocab_size() + PADDING


def ids(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False).ids


def text_of(tokens: list[int]) -> str:
    return TOKENIZER.decode(tokens, skip_special_tokens=False)


def json_form(schema: object) -> JsonFormat:
    return JsonFormat(json.dumps(schema))


class Rambler:
    """A model of random logits that comes to an end: endings grow more probable with every step."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._endings = [END, TURN, *(i for c in ('"', "}", "]", '"}') for i in ids(c))]

    def logits(self, step: int) -> mx.array:
        values = self._random.normal(0, 3, (1, VOCAB_SIZE)).astype(np.float32)
        values[0, self._endings] += 0.1 * step
        return mx.array(values)


def most_probable(logits: mx.array) -> int:
    return int(np.array(logits).argmax())


def answer(constraint: GrammarConstraint, seed: int, limit: int = 3000) -> list[int]:
    """Tokens until an end token, which is left out: the most probable at each step."""
    model, tokens = Rambler(seed), list(PROMPT)
    for step in range(limit):
        token = most_probable(constraint(mx.array(tokens), model.logits(step)))
        if token in (END, TURN):
            assert constraint.failure is None
            return tokens[len(PROMPT) :]
        tokens.append(token)
    raise AssertionError(f"no end: {text_of(tokens)}")


def allowed(constraint: GrammarConstraint) -> set[int]:
    """What the mask leaves, of the whole padded vocabulary."""
    masked = apply_mask(mx.zeros((1, VOCAB_SIZE)), mx.array(constraint.mask(VOCAB_SIZE)[None]))
    return set(np.flatnonzero(np.array(masked)[0] == 0).tolist())


def after(constraint: GrammarConstraint, text: str) -> GrammarConstraint:
    for token in ids(text):
        constraint.advance(token)
    return constraint
