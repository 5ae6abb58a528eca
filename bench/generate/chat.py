"""Chat streams over HTTP, against bare BatchGenerator, mlx_lm.server and mlx_vlm.server in the same run."""

import contextlib
import importlib.util
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

from bench.corpus import CORPORA
from bench.report import Row, median, quantile_ms
from bench.stack import api, free_port, output_of, peer, process, python, redis_server, until_answers
from bench.stream_client import Stream, streams_from_process

STREAMS = (1, 8, 32, 64)
MAX_TOKENS = 128
PROMPT_TOKENS = 75

Serving = Callable[[str], contextlib.AbstractAsyncContextManager[tuple[int, str]]]
"""Serves the model in a folder; gives the port and the name requests use."""


class Chat(NamedTuple):
    """What came of so many streams at once."""

    tokens_per_s: float
    first_token_ms: float
    gap_p50_ms: float
    gap_p95_ms: float


async def measure(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as folder:
        model = await write_generator(folder)
        return await compare(model, repeats, STREAMS, {"mlxq": serve, **peers()})


async def write_generator(folder: str, shape: str = "SMALL") -> str:
    """A generator of a shape of bench.checkpoint, written by a process of its own."""
    target = str(Path(folder) / f"{shape.lower()}-generator")
    script = (
        "from pathlib import Path; from bench import checkpoint as c; "
        f"c.write_generator(Path({target!r}), c.{shape})"
    )
    await output_of("-c", script)
    return target


async def compare(
    model: str,
    repeats: int,
    streams: tuple[int, ...],
    servings: dict[str, Serving],
    *,
    warm_up: tuple[int, ...] = (2,),
) -> list[Row]:
    """warm_up: numbers of streams to run first, uncounted. A GPU compiles its kernels for each."""
    bare: dict[int, list[float]] = {count: [] for count in streams}
    served: dict[tuple[str, int], list[Chat]] = {}
    for repeat in range(repeats):
        for count, rate in (await ceiling(model, streams)).items():
            bare[count].append(rate)
        for name, serving in servings.items():
            async with serving(model) as (port, model_name):
                for count in warm_up:
                    await run(port, model_name, count, count, seed=1000 + count + 100 * repeat)
                for count in streams:
                    chat = await run(port, model_name, count, max(2 * count, 4), seed=count + 100 * repeat)
                    served.setdefault((name, count), []).append(chat)
    rows = [
        Row(f"bare BatchGenerator, {count} at once", {"tokens/s": median(bare[count])}) for count in streams
    ]
    return rows + [_row(name, count, chats, bare[count]) for (name, count), chats in served.items()]


def _row(name: str, count: int, chats: list[Chat], bare: list[float]) -> Row:
    rates = [chat.tokens_per_s for chat in chats]
    figures = {
        "tokens/s": median(rates),
        "of bare": median([rate / top for rate, top in zip(rates, bare, strict=True)]),
        "first token ms": median([chat.first_token_ms for chat in chats]),
        "gap p50 ms": median([chat.gap_p50_ms for chat in chats]),
        "gap p95 ms": median([chat.gap_p95_ms for chat in chats]),
    }
    return Row(f"{name}, {count} at once", figures)


async def ceiling(model: str, streams: tuple[int, ...]) -> dict[int, float]:
    sizes = map(str, (PROMPT_TOKENS, MAX_TOKENS, *streams))
    output = await output_of("-m", "bench.generate.ceiling", model, *sizes)
    return {int(count): rate for count, rate in json.loads(output).items()}


async def run(port: int, model: str, connections: int, total: int, *, seed: int) -> Chat:
    streams = await streams_from_process(port, chat_bodies(model, total, seed), connections=connections)
    failed = [stream for stream in streams if stream.status != 200]
    assert not failed, f"{len(failed)} of {len(streams)} streams failed"
    return read(streams)


def chat_bodies(model: str, count: int, seed: int) -> list[str]:
    """Greedy requests, no two of which begin alike: nobody's prefix cache helps."""
    texts = CORPORA["mixed"].texts(count + seed)[seed:]
    prompts = [
        " ".join([str(seed), str(n), *text.split(), *["word"] * 60][:58]) for n, text in enumerate(texts)
    ]
    return [chat_body(model, prompt, MAX_TOKENS) for prompt in prompts]


def chat_body(model: str, prompt: str, max_tokens: int) -> str:
    """A greedy request of one turn, streamed."""
    messages = [{"role": "user", "content": prompt}]
    body = {"model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": True}
    return json.dumps(body)


def read(streams: list[Stream], tokens: int = MAX_TOKENS) -> Chat:
    """tokens: of each stream; a piece of text may hold several."""
    seconds = max(stream.ended_s for stream in streams) - min(stream.asked_s for stream in streams)
    gaps = [gap for stream in streams for gap in stream.gaps_s]
    first = [stream.arrivals_s[0] - stream.asked_s for stream in streams]
    return Chat(
        tokens * len(streams) / seconds, median(first) * 1e3, quantile_ms(gaps, 0.5), quantile_ms(gaps, 0.95)
    )


@contextlib.asynccontextmanager
async def serve(folder: str, api_processes: int = 1) -> AsyncIterator[tuple[int, str]]:
    with redis_server() as url:
        worker = process(*python("-m", "cli.main", "worker", "--model", folder), REDIS_URL=url)
        async with worker, api(url, api_processes) as port:
            yield port, Path(folder).name


def peers() -> dict[str, Serving]:
    """The servers of the libraries, where they are installed."""
    found = {"mlx_lm.server": _mlx_lm, "mlx_vlm.server": _mlx_vlm}
    return {name: serving for name, serving in found.items() if importlib.util.find_spec(name)}


@contextlib.asynccontextmanager
async def _mlx_lm(folder: str) -> AsyncIterator[tuple[int, str]]:
    port = free_port()
    options = ("--model", folder, "--port", str(port), "--decode-concurrency", "64", "--log-level", "WARNING")
    async with peer("mlx_lm.server", *options):
        await until_answers(f"http://127.0.0.1:{port}/health")
        yield port, "default_model"


@contextlib.asynccontextmanager
async def _mlx_vlm(folder: str) -> AsyncIterator[tuple[int, str]]:
    port = free_port()
    options = ("--model", folder, "--port", str(port), "--max-num-seqs", "64", "--log-level", "WARNING")
    async with peer("mlx_vlm.server", *options):
        await until_answers(f"http://127.0.0.1:{port}/v1/models")
        yield port, folder
