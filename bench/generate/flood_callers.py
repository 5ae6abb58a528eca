"""The callers of bench.generate.flood, until its input ends.

`python -m bench.generate.flood_callers PORT EMBEDDER GENERATOR`

They would be on other machines: what they compute themselves gives way to all others here.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterator

from bench.client import Connection, post
from jobs.process.cancelling import cancel_and_wait

BODY_BYTES = 30_000_000
PROPERTIES = 800
CUT_BYTES = 5_000_000

EMBEDDINGS, CHATS = "/v1/embeddings", "/v1/chat/completions"


def large_requests(embedder: str, generator: str) -> dict[str, bytes]:
    """By what they hold."""
    draw = random.Random(1)
    letters = b"abcdefghijklmnopqrstuvwxyz      "
    words = draw.randbytes(BODY_BYTES).translate(letters * (256 // len(letters))).decode()
    inputs = {
        "dots": "." * BODY_BYTES,
        "words": words,
        "one word": "a" * BODY_BYTES,
        "2,000 texts": [
            words[at : at + BODY_BYTES // 2000] for at in range(0, BODY_BYTES, BODY_BYTES // 2000)
        ],
        "token ids": [2000 + id for id in array("H", draw.randbytes(BODY_BYTES * 2 // 3)) if id < 28_000],
    }
    found = {
        name: post(EMBEDDINGS, json.dumps({"model": embedder, "input": each}).encode())
        for name, each in inputs.items()
    }
    messages = [{"role": "user", "content": words}]
    found["a chat"] = post(CHATS, json.dumps({"model": generator, "messages": messages}).encode())
    return found


def schema_request(generator: str, turn: int) -> bytes:
    """Another one each time: nothing of it can be known yet."""
    properties = {f"property_{turn}_{n}": {"type": "string"} for n in range(PROPERTIES)}
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    body = {
        "model": generator,
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 4,
        "response_format": {"type": "json_schema", "json_schema": {"name": "many", "schema": schema}},
    }
    return post(CHATS, json.dumps(body).encode())


async def call(port: int, requests: Iterator[tuple[str, bytes]], count: Counter[str]) -> None:
    """One request after the other."""
    loop = asyncio.get_running_loop()
    while True:
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            for name, request in requests:
                count[f"{name}: {await connection.send(request)}"] += 1


async def cut(port: int, request: bytes, count: Counter[str]) -> None:
    """Connections that end in the midst of a body."""
    while True:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            writer.write(request[:CUT_BYTES])
            await writer.drain()
        writer.transport.abort()
        count["cut"] += 1
        await asyncio.sleep(0.1)


async def flood(port: int, embedder: str, generator: str) -> Counter[str]:
    large = large_requests(embedder, generator)
    schemas: Callable[[], Iterator[tuple[str, bytes]]] = lambda: (  # noqa: E731
        ("a schema", schema_request(generator, turn)) for turn in itertools.count()
    )
    print("ready", flush=True)
    count = Counter[str]()
    half = len(large) // 2
    orders = [[*large.items()], [*large.items()][half:] + [*large.items()][:half]]
    tasks = [asyncio.create_task(call(port, itertools.cycle(order), count)) for order in orders]
    tasks.append(asyncio.create_task(call(port, schemas(), count)))
    tasks.append(asyncio.create_task(cut(port, large["dots"], count)))
    await asyncio.to_thread(sys.stdin.read)
    await cancel_and_wait(*tasks)
    return count


if __name__ == "__main__":
    os.nice(19)
    print(json.dumps(asyncio.run(flood(int(sys.argv[1]), sys.argv[2], sys.argv[3]))))
