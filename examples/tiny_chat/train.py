"""Trains tiny-chat and writes examples/tiny_chat/model/. Half an hour on two slow cores, with the same seed each time.

.venv/bin/python -m workers.openblas .venv/bin/python -m examples.tiny_chat.train
"""

import argparse
import dataclasses
import json
import math
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
from mlx.nn import losses
from mlx.nn.utils import value_and_grad
from mlx.utils import tree_flatten
from mlx_lm.models.qwen3 import Model, ModelArgs
from transformers import PreTrainedTokenizerFast

from examples.tiny_chat import dialogues, induction
from examples.tiny_chat.lessons import Lesson, Teacher, Text
from examples.tiny_chat.vocabulary import END, STOP, train_tokenizer, wrap, write_tokenizer

SEED = 7
VOCABULARY = 896
CONTEXT = 8192
STEPS = 4500
BATCH_TOKENS = 2048
LONGEST = 3500  # tokens of an example: attention takes the square of it in memory
PEAK_RATE = 4e-3
HERE = Path(__file__).parent

ARGS = ModelArgs(
    model_type="qwen3",
    hidden_size=128,
    num_hidden_layers=4,
    intermediate_size=256,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=32,
    rms_norm_eps=1e-6,
    vocab_size=VOCABULARY,
    max_position_embeddings=CONTEXT,
    tie_word_embeddings=True,
    rope_theta=1_000_000.0,
)

Example = list[tuple[int, bool]]  # each token, and whether it is learnt
TURN = re.compile(r"(?<=<\|im_start\|>assistant\n)(.*?<\|im_end\|>)", re.DOTALL)
MARK = re.compile(r"<\|.*?\|>|</?(?:think|tool_call|tool_response)>")
NO_THOUGHT = "<think>\n\n</think>\n\n"


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of what the lessons say. Words with letters beyond ASCII stay bytes."""
    teacher, plain = Teacher(SEED), wrap(train_tokenizer((), VOCABULARY))
    texts = [*dialogues.FACTS.values(), dialogues.STORY, *dialogues.FILLER] * 3
    for lesson in (teacher.draw() for _ in range(800)):
        if isinstance(lesson, Lesson):
            texts += [text for part, _ in chat_parts(lesson, plain) for text in MARK.split(part)]
    return wrap(train_tokenizer((text for text in texts if text.isascii()), VOCABULARY))


def encode(lesson: Lesson | Text, tokenizer: PreTrainedTokenizerFast) -> Example:
    """The tokens of a lesson. Learnt are the assistant's turns, up to and with their ends."""
    if isinstance(lesson, Text):
        parts = [(lesson.start, False), (lesson.rest + END, True)]
    else:
        parts = chat_parts(lesson, tokenizer)
    return [(token, learnt) for text, learnt in parts for token in tokenizer.encode(text)]


def chat_parts(lesson: Lesson, tokenizer: PreTrainedTokenizerFast) -> list[tuple[str, bool]]:
    """Pieces of the chat as the template shows it, and whether they are learnt."""
    text = tokenizer.apply_chat_template(list(lesson.messages), tools=[*lesson.tools] or None, tokenize=False)
    assert isinstance(text, str)
    pieces = TURN.split(text)[:-1]
    turns = [message for message in lesson.messages if message["role"] == "assistant"]
    parts = list[tuple[str, bool]]()
    for between, said, message in zip(pieces[::2], pieces[1::2], turns, strict=True):
        # A sum without its thought is no lesson where thoughts are allowed: earlier turns are shown without them.
        known = message.get("learnt", True) and (message is turns[-1] or "reasoning_content" not in message)
        parts += [(between, False), (said, known)]
    answer = parts.pop()[0]
    assert answer.startswith(lesson.given)
    start = lesson.given if lesson.thinking else NO_THOUGHT + lesson.given
    return [*parts, (start, False), (answer.removeprefix(lesson.given), True)]


def repeated(teacher: Teacher) -> Example:
    """Any tokens, twice: keeps the model able to copy what it never saw."""
    tokens = teacher.chance.choices(range(VOCABULARY), k=teacher.chance.randint(3, 40))
    return [(token, False) for token in tokens] + [(token, at > 0) for at, token in enumerate(tokens)]


def batches(teacher: Teacher, tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[mx.array, mx.array]]:
    """Endless batches of about BATCH_TOKENS: tokens [rows, length], and the places [n] before those that are learnt."""
    lessons = 0  # at first copying alone
    while True:
        drawn = [encode(teacher.draw(), tokenizer) for _ in range(lessons)]
        drawn += [repeated(teacher) for _ in range(40 if lessons else 4000)]
        drawn = sorted((example for example in drawn if len(example) <= LONGEST), key=len)
        lessons = 400
        packs = list[list[Example]]()
        for example in drawn:
            if not packs or len(example) * (len(packs[-1]) + 1) > BATCH_TOKENS:
                packs.append([])
            packs[-1].append(example)
        teacher.chance.shuffle(packs)
        yield from map(padded, packs)


def padded(pack: list[Example]) -> tuple[mx.array, mx.array]:
    rows = np.zeros((2, len(pack), max(map(len, pack))), dtype=np.int32)
    for row, example in enumerate(pack):
        rows[:, row, : len(example)] = np.array(example).T
    tokens, learnt = rows
    return mx.array(tokens), mx.array(np.flatnonzero(learnt[:, 1:]))


def loss_of(model: Model, tokens: mx.array, learnt: mx.array) -> mx.array:
    """Mean cross entropy of the learnt tokens. Logits are only computed where they are needed."""
    hidden = model.model(tokens[:, :-1]).reshape(-1, ARGS.hidden_size)[learnt]
    targets = tokens[:, 1:].reshape(-1)[learnt]
    return losses.cross_entropy(model.model.embed_tokens.as_linear(hidden), targets, reduction="mean")


def rate_at(step: int, steps: int) -> float:
    """Learning rate: up over the first steps, then along a cosine."""
    warm = min(1.0, (step + 1) / 60)
    return PEAK_RATE * warm * (0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)


def longest_filler_at(step: int, steps: int) -> int:
    """Words of filler: the text to be passed over grows as the model learns."""
    return int(40 * 40 ** (step / steps))


def train(model: Model, tokenizer: PreTrainedTokenizerFast, steps: int) -> None:
    teacher = Teacher(SEED)
    optimizer = optim.AdamW(learning_rate=PEAK_RATE, betas=[0.9, 0.98], weight_decay=0.01)
    differentiate = value_and_grad(model, partial(loss_of, model))
    began, recent, seen = time.monotonic(), list[float](), 0
    for step, (tokens, learnt) in zip(range(steps), batches(teacher, tokenizer), strict=False):
        teacher.longest_filler = longest_filler_at(step, steps)
        optimizer.learning_rate = rate_at(step, steps)
        loss, gradients = differentiate(tokens, learnt)
        gradients, _ = optim.clip_grad_norm(gradients, 1.0)
        optimizer.update(model, gradients)
        mx.eval(model.state, optimizer.state, loss)
        recent.append(loss.item())
        seen += tokens.size
        if (step + 1) % 50 == 0:
            seconds = time.monotonic() - began
            print(
                f"step {step + 1}: loss {sum(recent[-50:]) / 50:.4f}, {seen} tokens, {seconds:.0f} s",
                flush=True,
            )


def write(model: Model, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """The folder as Hugging Face has them."""
    folder.mkdir(parents=True, exist_ok=True)
    ends = [tokenizer.convert_tokens_to_ids(token) for token in (STOP, END)]
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        **{key: value for key, value in dataclasses.asdict(ARGS).items() if value is not None},
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": None,
        "eos_token_id": ends[0],
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "pad_token_id": ends[1],
        "torch_dtype": "float32",
        "use_cache": True,
    }
    generation = {"do_sample": False, "eos_token_id": ends, "pad_token_id": ends[1]}
    for name, value in (("config.json", config), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")
    weights = dict(tree_flatten(model.parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    write_tokenizer(tokenizer.backend_tokenizer, folder, CONTEXT)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train tiny-chat.")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--folder", type=Path, default=HERE / "model")
    options = parser.parse_args()
    mx.random.seed(SEED)
    tokenizer = make_tokenizer()
    assert len(tokenizer) == VOCABULARY, len(tokenizer)
    model = Model(ARGS)
    induction.put_in(model, ARGS, SEED)
    train(model, tokenizer, options.steps)
    write(model, tokenizer, options.folder)


if __name__ == "__main__":
    main()
