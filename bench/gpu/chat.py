"""Chat streams of a real model's shape on a GPU; otherwise as bench.generate.chat."""

import tempfile
from functools import partial

from bench.generate import chat
from bench.report import Row

STREAMS = (1, 64)
API_PROCESSES = 4


async def measure(repeats: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="mlxq-bench-") as folder:
        model = await chat.write_generator(folder, "QWEN3_600M")
        ours = partial(chat.serve, api_processes=API_PROCESSES)
        return await chat.compare(model, repeats, STREAMS, {"mlxq": ours, **chat.peers()}, warm_up=STREAMS)
