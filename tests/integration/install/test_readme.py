"""What the README tells a newcomer to type does what it says."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.checkpoints.rerankers import make
from tests.support.stack import MODEL, ROOT, Stack

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    ranker = make("bert", tmp_path_factory.mktemp("ranker"))
    chat = ROOT / "examples" / "tiny_chat" / "model"
    models = (MODEL, f"tiny-chat={chat}", f"cross-encoder/ms-marco-MiniLM-L6-v2={ranker}")
    with Stack(tmp_path_factory.mktemp("stack"), *models) as stack:
        yield stack


def commands() -> list[list[str]]:
    """The words of each curl command."""
    shell = "".join(text for kind, text in BLOCKS if kind == "sh").replace("\\\n", " ")
    return [shlex.split(line, comments=True) for line in shell.splitlines() if line.startswith("curl")]


def test_each_curl_that_sends_work_is_answered(stack: Stack):
    asked: list[tuple[str, str]] = []
    for words in commands():
        if "-d" not in words:
            continue  # about a job by its id
        url = next(word for word in words if word.startswith(ADDRESS))
        headers = dict(words[at + 1].split(": ") for at, word in enumerate(words) if word == "-H")
        body = words[words.index("-d") + 1]
        reply = httpx.post(
            url.replace(ADDRESS, stack.url), content=body, headers=headers, timeout=60, trust_env=False
        )
        assert reply.status_code in (200, 202), (words, reply.text)
        asked.append((httpx.URL(url).path, json.loads(body)["model"]))
    assert {
        ("/v1/embeddings", MODEL),
        ("/v1/chat/completions", "tiny-chat"),
        ("/v1/rerank", "ms-marco-MiniLM-L6-v2"),
        ("/v1/jobs", MODEL),
    } <= set(asked)


def test_the_commands_on_models_answer(stack: Stack):
    shell = "".join(text for kind, text in BLOCKS if kind == "sh")
    lines = re.findall(r"^\.venv/bin/mlxq ((?:list|embed|rerank|run) .*)$", shell, re.MULTILINE)
    said = list[str]()
    for line in lines:
        command = [sys.executable, "-m", "cli.main", *shlex.split(line, comments=True)]
        run = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "MLXQ_PORT": stack.url.rpartition(":")[2]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, (line, run.stderr)
        said.append(run.stdout)
    models, vectors, ranking, story = said
    assert MODEL in models and vectors.count("\n") == 2 and ranking.count("docs/glossary.md:") == 3 and story


def test_the_python_snippets_run_one_after_the_other(stack: Stack, capsys: pytest.CaptureFixture[str]):
    snippets = [text for kind, text in BLOCKS if kind == "python"]
    names: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet.replace(ADDRESS, stack.url), "README.md", "exec"), names)
    said = capsys.readouterr().out
    assert len(snippets) == 2
    assert said.startswith("2 vectors of 384 values, ") and said.partition("tokens\n")[2].strip()


def test_the_way_to_tiny_chat_is_right():
    [spec] = re.findall(r"--model (tiny-chat=\S+)", README)
    assert (ROOT / spec.partition("=")[2] / "config.json").is_file()
