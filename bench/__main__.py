"""`make bench`: the figures of docs/numbers.md. `python -m bench --only engine --repeats 1` for a part of it."""

import argparse
import importlib
import platform
from typing import NamedTuple

import uvloop

from bench.report import show


class Section(NamedTuple):
    """What `--only NAME` runs: `measure` in bench/<module>."""

    module: str
    title: str


SECTIONS = {
    "engine": Section("queue.engine", "The queue alone: no-op jobs, mlxq against stock RQ SimpleWorker"),
    "http": Section("queue.http", "HTTP /v1/embeddings with a no-op model, against a bare FastAPI route"),
    "fleet": Section(
        "queue.fleet", "One, two and ten no-op workers on this machine; a chat beside a worker's death"
    ),
    "blas": Section(
        "embed.blas", "Matrix products of MLX on a CPU, as a worker computes them, against numpy's"
    ),
    "batches": Section("embed.batches", "Batches: what padding they hold, and whether they change a vector"),
    "texts": Section("embed.texts", "all-MiniLM-L6-v2 served, against the same model called in process"),
    "rerank": Section(
        "embed.rerank",
        "Reranking by a cross-encoder of MiniLM's shape, random weights, against the same called in process",
    ),
    "chat": Section(
        "generate.chat", "Chat streams of a small model (4 layers, 256 wide), greedy, 75 tokens in, 128 out"
    ),
    "mixed": Section(
        "generate.mixed",
        "Chat of the small model under a flood of MiniLM embeddings, 16 callers, one text each",
    ),
    "flood": Section(
        "generate.flood",
        "An embedding and a chat client, one request at a time, beside a flood of what takes long to read",
    ),
    "draft": Section(
        "generate.draft",
        "One answer with a draft model, against the same model without (12 layers, 512 wide; draft: 1 layer)",
    ),
    "rendering": Section(
        "ingest.rendering",
        "Pages of PDFs drawn at ColQwen2.5's limit (r-doc-pdf; mixed ones), against PDFium alone in one process",
    ),
    "ingest": Section(
        "ingest.pages",
        "2,000 mixed pages into a collection with a no-op embedder; a chat beside pages",
    ),
    "commands": Section(
        "commands.start", "Commands on models, from start to end, beside a Python that does nothing"
    ),
    "pull": Section(
        "pulls.model", "A model that is pulled from a stand-in hub, killed on its way, and beside a chat"
    ),
    "memory": Section("queue.memory", "Memory of the processes over 100,000 requests"),
}
ON_REQUEST = {
    "vectors": Section(
        "vectors.search",
        "Made-up pages of 736 x 128 in the embedded store (ten minutes; MLXQ_BENCH_PAGES=1000 for fewer)",
    ),
    "pdf_texts": Section(
        "ingest.pdf_texts",
        "Text of real manuals, and their bookmarks' titles in it (wants r-doc-pdf, debian-reference-ja)",
    ),
    "million": Section(
        "queue.million",
        "A queue of a million small jobs (four minutes; MLXQ_BENCH_JOBS=100000 for half of one)",
    ),
    "gpu": Section("gpu.texts", "Qwen3-Embedding-0.6B shape, bf16, random weights (wants a GPU)"),
    "gpu_chat": Section(
        "gpu.chat",
        "Chat streams of the Qwen3-0.6B shape, bf16, random weights, greedy, 75 in, 128 out (wants a GPU)",
    ),
    "gpu_rerank": Section(
        "gpu.rerank", "Reranking by the Qwen3-Reranker-0.6B shape, bf16, random weights (wants a GPU)"
    ),
    "gpu_pages": Section(
        "gpu.pages", "Pages read by the ColQwen2.5-3B shape, bf16, random weights (wants a GPU)"
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=[*SECTIONS, *ON_REQUEST],
        help="sections to run (all but the long one and those for a GPU)",
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="runs of each measurement; medians are printed"
    )
    options = parser.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}; medians of {options.repeats}")
    for name in options.only or SECTIONS:
        section = (SECTIONS | ON_REQUEST)[name]
        measure = importlib.import_module(f"bench.{section.module}").measure
        show(section.title, uvloop.run(measure(options.repeats)))


if __name__ == "__main__":
    main()
