"""An answer from a PDF, step by step: read it, cut it into chunks, find the nearest ones, ask a chat model.

    mlxq up --model all-MiniLM-L6-v2 --model mlx-community/Qwen3-0.6B-4bit      # in another terminal
    pip install openai numpy pypdfium2
    python examples/pdf_rag.py examples/papers/lease.pdf "How much is the deposit?"

`mlxq ingest FOLDER` and `mlxq ask "QUESTION"` do all of it, for any number of documents. MLXQ_URL says where mlxq is,
if not at http://127.0.0.1:8000; MLXQ_CHAT_MODEL names the chat model.
"""

import os
import sys
from typing import NamedTuple

import numpy as np
import openai
import pypdfium2

URL = os.environ.get("MLXQ_URL", "http://127.0.0.1:8000")
CHAT_MODEL = os.environ.get("MLXQ_CHAT_MODEL", "Qwen3-0.6B-4bit")
CHUNK_WORDS, OVERLAP_WORDS = 120, 20
CHUNKS_SHOWN = 3


class Chunk(NamedTuple):
    page: int
    text: str


def main(path: str, question: str) -> None:
    client = openai.OpenAI(base_url=f"{URL}/v1", api_key="unused")

    chunks = read_chunks(path)
    print(f"{len(chunks)} chunks of {path}")

    # One request for all chunks. The vectors have length 1, so their products are cosines.
    vectors = embed(client, [chunk.text for chunk in chunks])
    [wanted] = embed(client, [question])
    scores = vectors @ wanted
    nearest = np.argsort(-scores)[:CHUNKS_SHOWN]
    for at in nearest:
        print(f"{scores[at]:.2f} page {chunks[at].page}")

    sources = "\n\n".join(f"[page {chunks[at].page}] {chunks[at].text}" for at in nearest)
    prompt = f"{sources}\n\nAnswer from these pages alone, and name the page: {question}"
    stream = client.chat.completions.create(
        model=CHAT_MODEL, messages=[{"role": "user", "content": prompt}], temperature=0, stream=True
    )
    for chunk in stream:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


def read_chunks(path: str) -> list[Chunk]:
    """Runs of words that overlap, so that no sentence is only there in halves."""
    chunks: list[Chunk] = []
    with pypdfium2.PdfDocument(path) as document:
        for number, page in enumerate(document, 1):
            words = page.get_textpage().get_text_bounded().split()
            starts = range(0, max(1, len(words) - OVERLAP_WORDS), CHUNK_WORDS - OVERLAP_WORDS)
            chunks += [Chunk(number, " ".join(words[start : start + CHUNK_WORDS])) for start in starts]
    return chunks


def embed(client: openai.OpenAI, texts: list[str]) -> np.ndarray:
    """(texts, values)"""
    reply = client.embeddings.create(model="all-MiniLM-L6-v2", input=texts)
    return np.array([item.embedding for item in reply.data])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
