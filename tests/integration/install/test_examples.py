"""Every script in examples/ does what it says, against one running stack."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.stack import ROOT, Stack
from tests.support.waiting import PATIENCE_S, wait_until

EXAMPLES = ROOT / "examples"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    models = ("all-MiniLM-L6-v2", f"tiny-chat={EXAMPLES / 'tiny_chat' / 'model'}")
    with Stack(tmp_path_factory.mktemp("stack"), *models, lease_s=2) as stack:
        yield stack


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where examples keep temporary files."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture
def run(stack: Stack, tmp_path: Path, scratch: Path) -> Run:
    """Runs an example in a folder of its own; what it prints."""

    def run_example(name: str, *arguments: object) -> str:
        done = subprocess.run(
            [sys.executable, EXAMPLES / name, *map(str, arguments)],
            cwd=tmp_path,
            env={
                **os.environ,
                "MLXQ_URL": stack.url,
                "REDIS_URL": stack.server.url,
                "TMPDIR": str(scratch),
            },
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run_example


def test_openai_client(run: Run):
    said = run("openai_client.py")
    assert "models: all-MiniLM-L6-v2, tiny-chat\n" in said
    assert re.search(r"one text: 384 values, \d+ tokens", said)
    near, far = (float(score) for score in re.findall(r"similarity (\S+):", said))
    assert near > 0.5 > far
    assert "base64: 1536 bytes, 384 values" in said
    assert "too long: context_length_exceeded" in said
    assert "truncated: 256 tokens read" in said


def test_openai_chat(run: Run):
    assert re.fullmatch(
        r"What is the capital of France\? The capital of France is Paris\. \(\d+ tokens\)\n"
        r"get_weather\(Oslo\): .*7.*\n"
        r"Ada Lovelace, born 1815\n",
        run("openai_chat.py"),
    )


def test_async_job(run: Run):
    assert re.fullmatch(
        "submitted: bulk job, (queued|started|finished)\n"
        "sent again, same job: True\n"
        "finished: 100 vectors for report.pdf\n"
        "another one: canceled\n",
        run("async_job.py"),
    )


def test_bulk_jsonl_goes_on_where_it_was_stopped(run: Run, tmp_path: Path, stack: Stack):
    texts = [f"line {number} of the file" for number in range(150)]
    source, target = tmp_path / "texts.jsonl", tmp_path / "vectors.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))

    assert "0 lines are there already\n150 lines in" in run("bulk_jsonl.py", source, target)
    whole = target.read_bytes()
    rows = [json.loads(line) for line in whole.splitlines()]
    assert [row["text"] for row in rows] == texts
    assert {len(row["embedding"]) for row in rows} == {384}

    finished = finished_jobs(stack)
    target.write_bytes(whole[: len(whole) // 2])  # ends within a line, within a job
    assert "64 lines are there already\n150 lines in" in run("bulk_jsonl.py", source, target)
    assert target.read_bytes() == whole
    assert finished_jobs(stack) == finished


@pytest.mark.parametrize("arguments", [(), ("texts.jsonl",), ("a", "b", "c")])
def test_an_example_that_needs_arguments_says_which(arguments: tuple[str, ...]):
    done = subprocess.run(
        [sys.executable, EXAMPLES / "bulk_jsonl.py", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "python examples/bulk_jsonl.py texts.jsonl vectors.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def finished_jobs(stack: Stack) -> int:
    stats = stack.http.get(f"{stack.url}/v1/queue/stats").json()
    return sum(queue["finished"] for queue in stats["queues"])


def test_rq_dependents(run: Run):
    assert run("rq_dependents.py") == (
        "enqueued: the report waits for the embeddings\nreport: 2 vectors are finished\nchild: finished\n"
    )


def test_the_demo_shows_neighbours_a_job_a_chat_and_documents_and_leaves_nothing_behind(
    run: Run, scratch: Path
):
    said = run("demo.py")
    assert re.search(r"How do I bake a loaf\?\n    0\.\d\d  (Leave the bread|Knead the dough)", said)
    assert re.search(r"planets and their satellites\n    0\.\d\d  Jupiter's largest moons", said)
    assert "finished: 240 vectors from GET /v1/jobs/" in said
    assert re.search(
        r"Once upon a time .*lit\.\"\n\n\d+ pieces, 95 % of them within \d+ ms of the last", said, re.DOTALL
    )
    assert "The bulk job: finished, 960 vectors." in said
    assert "3 documents (5 pages) ingested" in said
    assert re.search(r"How much is the deposit\?\n    lease\.pdf, page 1: ", said)
    assert re.search(r"The boiler says E13\.\n    boiler\.pdf, page 2: ", said)
    assert re.search(r"From the folder to the pages: \d+\.\d s\.", said)
    assert "0 jobs wait" in said and "1 worker alive" in said
    assert "Everything is stopped again." in said
    assert not list(scratch.glob("mlxq-demo-*"))


def test_ctrl_c_ends_the_demo_and_all_that_it_started(scratch: Path):
    demo = subprocess.Popen(
        [sys.executable, EXAMPLES / "demo.py"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert demo.stdout is not None
    with demo.stdout:
        wait_until(lambda: len(psutil.Process(demo.pid).children(recursive=True)) >= 3)
        started = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        said = demo.stdout.read()
        assert said.startswith("Starting Redis") and said.endswith("\nStopped.\n")
        assert "POST" not in said
        assert demo.wait(PATIENCE_S) == 130
    wait_until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in started))
    assert not list(scratch.glob("mlxq-demo-*"))


def test_every_example_is_run():
    tests = (Path(__file__), ROOT / "tests" / "integration" / "documents" / "test_examples.py")
    here = "".join(test.read_text() for test in tests)
    assert all(f'"{example.name}"' in here for example in EXAMPLES.glob("*.py"))
