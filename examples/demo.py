"""`make demo`: starts mlxq with a folder of its own, shows what it does, and stops it again.

Needs nothing but mlxq itself; every request below is plain HTTP. Run it on its own with

    .venv/bin/python examples/demo.py
"""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

ROOT = Path(__file__).parent.parent
MODEL = "all-MiniLM-L6-v2"
CHAT = "tiny-chat"
CHAT_FOLDER = ROOT / "examples" / "tiny_chat" / "model"
PAPERS = ROOT / "examples" / "papers"
SENTENCES = [
    "The soup needs more salt and a little lemon.",
    "Knead the dough until it no longer sticks to the bowl.",
    "Fry the onions slowly so that they turn sweet.",
    "Leave the bread to cool before you cut it.",
    "Our train was cancelled, so we took the night bus.",
    "The ferry to the island leaves twice a day.",
    "She missed her flight because of a long queue at security.",
    "Cycling to work is quicker than sitting in traffic.",
    "The telescope picked up a faint galaxy behind the dust.",
    "Jupiter's largest moons can be seen with binoculars.",
    "A comet's tail always points away from the sun.",
    "The rover drilled into a rock on Mars.",
    "The server ran out of memory during the nightly backup.",
    "Rename the variable before you merge the branch.",
    "A race condition made the test fail once a week.",
    "The database index cut the query from minutes to milliseconds.",
    "Our goalkeeper saved two penalties in the final.",
    "She broke the national record in the long jump.",
    "The marathon was won in a sprint to the line.",
    "Rain stopped the tennis match in the third set.",
    "Tomatoes want sun, warmth and plenty of water.",
    "Prune the roses before the first leaves appear.",
    "Slugs ate every lettuce in the vegetable bed.",
    "The old oak lost a branch in the storm.",
]
QUERIES = ["How do I bake a loaf?", "finding a bug in my program", "planets and their satellites"]
QUESTIONS = ["How much is the deposit?", "The boiler says E13.", "How hard do I pump my tyres?"]
_HTTP = build_opener(ProxyHandler({}))  # the service is on this machine, whatever proxy the user has


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal stops everything just as Ctrl-C does
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="mlxq-demo-"))
    try:
        with mlxq_up(folder) as url:
            show_neighbours(url)
            show_job(url)
            show_chat(url)
            show_documents(url, folder)
            show_queue(url)
    except KeyboardInterrupt:
        print("\nStopped.")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"""
Everything is stopped again. To go on:
  .venv/bin/mlxq up                 # Redis, API and worker, until Ctrl-C
  curl http://127.0.0.1:8000/v1/embeddings -H 'Content-Type: application/json' \\
    -d '{{"model": "{MODEL}", "input": ["a cat", "a kitten"]}}'
  .venv/bin/mlxq ingest ~/Documents  # in another terminal; then: .venv/bin/mlxq search "QUERY"
  .venv/bin/mlxq up --model MODEL    # your own: a folder or a Hugging Face name; may be repeated
README.md says the rest; examples/ has a script for each task.""")
    return 0


@contextmanager
def mlxq_up(folder: Path) -> Iterator[str]:
    """`mlxq up` on a free port; its URL. Its log goes to a file, shown only if it does not start."""
    print("Starting Redis, the API and a worker (`mlxq up`) ", end="", flush=True)
    command = [sys.executable, "-m", "cli.main", "up", "--port", "0", "--data", str(folder)]
    command += ["--model", MODEL, "--model", f"{CHAT}={CHAT_FOLDER}"]
    environ = {
        name: value for name, value in os.environ.items() if name != "REDIS_URL"
    }  # not into your own Redis
    log = folder / "mlxq.log"
    started, dots = time.monotonic(), 0  # one for each second
    with log.open("w") as out:  # in a session of its own: Ctrl-C reaches this script, which then stops it
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        while not (
            said := re.search(r"^Ready after.*\n  curl (http://[^/]+)/", log.read_text(), re.MULTILINE)
        ):
            if process.poll() is not None:
                sys.exit(f"\nmlxq did not start:\n{log.read_text()}")
            time.sleep(0.05)
            if time.monotonic() - started > dots:
                dots += 1
                print(".", end="", flush=True)
        print(f"\nReady after {time.monotonic() - started:.1f} s on {said[1]}.\n")
        yield said[1]
    finally:
        process.terminate()
        process.wait()


def ask(url: str, body: Any = None, **headers: str) -> Any:
    """POST if there is a body, else GET; the reply's JSON."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers["Content-Type"] = "application/json"
    data = None if body is None else json.dumps(body).encode()
    with _HTTP.open(Request(url, data, headers), timeout=60) as reply:
        return json.load(reply)


def show_neighbours(url: str) -> None:
    """A synchronous call, as OpenAI's client sends it, and what vectors are good for."""
    started = time.monotonic()
    reply = ask(f"{url}/v1/embeddings", {"model": MODEL, "input": SENTENCES + QUERIES})
    elapsed_ms = (time.monotonic() - started) * 1000
    vectors = [item["embedding"] for item in reply["data"]]
    print(
        f"POST /v1/embeddings: {len(vectors)} sentences, {reply['usage']['total_tokens']} tokens, "
        f"{len(vectors[0])} values each, in {elapsed_ms:.0f} ms. The nearest of {len(SENTENCES)}:"
    )
    for query, wanted in zip(QUERIES, vectors[len(SENTENCES) :], strict=True):
        scores = [
            sum(a * b for a, b in zip(wanted, vector, strict=True)) for vector in vectors[: len(SENTENCES)]
        ]
        print(f"\n  {query}")
        for score, sentence in sorted(zip(scores, SENTENCES, strict=True), reverse=True)[:3]:
            print(f"    {score:.2f}  {sentence}")
    started = time.monotonic()
    ask(f"{url}/v1/embeddings", {"model": MODEL, "input": QUERIES[0]})
    print(f"\nOne sentence alone: {(time.monotonic() - started) * 1000:.0f} ms.")


def show_job(url: str) -> None:
    """The same work, without waiting for it."""
    started = time.monotonic()
    job = ask(f"{url}/v1/embeddings", {"model": MODEL, "input": SENTENCES * 10}, prefer="respond-async")
    print(
        f"\nThe same with `Prefer: respond-async` and {len(SENTENCES) * 10} sentences: a job's id, at once."
    )
    address = f"/v1/jobs/{job['id']}"
    while job["status"] not in ("finished", "failed"):
        print(f"  {time.monotonic() - started:5.2f} s  {job['status']}", flush=True)
        job = ask(f"{url}{address}?wait=1")  # answers when the job ends, after a second at the latest
    vectors = len(job["result"]["data"]) if job["result"] else 0
    print(f"  {time.monotonic() - started:5.2f} s  {job['status']}: {vectors} vectors from GET {address}")


def show_chat(url: str) -> None:
    """A stream, while the worker has a thousand texts to embed."""
    texts = SENTENCES * 40
    bulk = ask(f"{url}/v1/jobs", {"task": "embed", "model": MODEL, "input": texts, "lane": "bulk"})
    question = {"role": "user", "content": "Tell me a story."}
    body = {"model": CHAT, "messages": [question], "stream": True, "temperature": 0}
    request = Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    print(
        f"\nPOST /v1/chat/completions as a stream, while {len(texts)} texts are embedded in the bulk lane:\n\n  ",
        end="",
    )
    told_at: list[float] = []
    with _HTTP.open(request, timeout=60) as reply:
        for line in reply:
            told = line.decode().removeprefix("data: ").strip()
            if told.startswith("{") and (choices := json.loads(told)["choices"]):
                print(choices[0]["delta"].get("content") or "", end="", flush=True)
                told_at.append(time.monotonic())
    pauses_ms = sorted((late - early) * 1000 for early, late in itertools.pairwise(told_at))
    most_ms = pauses_ms[len(pauses_ms) * 95 // 100]
    print(f"\n\n{len(told_at)} pieces, 95 % of them within {most_ms:.0f} ms of the last one.")
    job = ask(f"{url}/v1/jobs/{bulk['id']}?wait=60")
    print(f"The bulk job: {job['status']}, {len(job['result']['data'])} vectors.")


def show_documents(url: str, folder: Path) -> None:
    """A folder of PDFs, made searchable, and pages that answer questions."""
    print(f"\nmlxq ingest {PAPERS.relative_to(ROOT)}")
    started = time.monotonic()
    command = [sys.executable, "-m", "cli.main", "ingest", str(PAPERS), "--data", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"The documents were not ingested:\n{done.stdout}{done.stderr}")
    for line in done.stdout.splitlines():
        print(f"  {line}")
    print("\nPOST /v1/search: the pages that answer.")
    hits = [ask(f"{url}/v1/search", {"query": question, "limit": 1})["hits"][0] for question in QUESTIONS]
    elapsed_s = time.monotonic() - started
    for question, hit in zip(QUESTIONS, hits, strict=True):
        print(f"\n  {question}\n    {Path(hit['paths'][0]).name}, page {hit['page']}: {hit['snippet'][:90]}")
    print(f"\nFrom the folder to the pages: {elapsed_s:.1f} s.")


def show_queue(url: str) -> None:
    stats = ask(f"{url}/v1/queue/stats")
    finished = sum(queue["finished"] for queue in stats["queues"])
    waiting, workers = stats["queue_stats"]["queue_size"], stats["queue_stats"]["max_concurrency"]
    print(f"\nGET /v1/queue/stats: {waiting} jobs wait, {finished} finished, {workers} worker alive.")


if __name__ == "__main__":
    sys.exit(main())
