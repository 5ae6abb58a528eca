"""Bare BatchGenerator on a model: tokens per second of so many answers at once, printed as JSON.

`python -m bench.generate.ceiling FOLDER PROMPT_TOKENS MAX_TOKENS STREAMS…`
"""

import json
import random
import sys
import time
from typing import Any


def main() -> None:
    from mlx_lm.utils import load

    folder, prompt_tokens, max_tokens, *streams = sys.argv[1], *map(int, sys.argv[2:])
    model: Any = load(folder)[0]
    for count in streams:
        run(model, count, prompt_tokens, max_tokens)  # the first calls of a shape are slow
    print(json.dumps({count: run(model, count, prompt_tokens, max_tokens) for count in streams}))


def run(model: Any, count: int, prompt_tokens: int, max_tokens: int) -> float:
    from mlx_lm.generate import BatchGenerator

    chance = random.Random(count)
    prompts = [[chance.randrange(3000) for _ in range(prompt_tokens)] for _ in range(count)]
    generator = BatchGenerator(model, completion_batch_size=max(32, count))
    began = time.perf_counter()
    generator.insert(prompts, max_tokens=[max_tokens] * count)
    tokens = 0
    while tokens < count * max_tokens:
        tokens += len(generator.next()[1])
    return tokens / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
