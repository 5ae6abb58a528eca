"""What a user sees before the first request: a wrong model at once, progress, and commands that work."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.checkpoints.colqwen import make as make_pages
from tests.checkpoints.rerankers import make as make_ranker
from tests.support.folders import ROOT, TINY_CHAT
from tests.support.stack import Program


def spoilt(folder: Path, **config: object) -> Path:
    """A copy of tiny-chat with other words in its config.json."""
    shutil.copytree(TINY_CHAT, folder)
    stated = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(stated | config))
    return folder


def start(command: str, tmp_path: Path, *models: object, **environ: str) -> subprocess.CompletedProcess[str]:
    named = [each for model in models for each in ("--model", str(model))]
    return subprocess.run(
        [sys.executable, "-m", "cli.main", command, *named, "--data", str(tmp_path / "data")],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "REDIS_URL"} | environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", ["up", "worker"])
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        ({}, "There is no folder "),
        ({"model_type": "unheard_of"}, "is of type 'unheard_of', which cannot be served"),
        ({"architectures": ["BoundaryExtractor"], "model_type": "x"}, "wrong"),  # only opening it tells
    ],
)
def test_a_wrong_model_is_one_line_before_anything_starts(
    command: str, spoil: dict[str, object], says: str, tmp_path: Path
):
    model = spoilt(tmp_path / "wrong", **spoil) if spoil else tmp_path / "nowhere"

    ended = start(command, tmp_path, model, MLXQ_PORT="0")

    assert ended.returncode == 78
    assert ended.stdout == "" and ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith("mlxq: ") and says in ended.stderr
    assert not (tmp_path / "data").exists()


def test_two_models_of_a_name_or_too_large_a_one_are_told_as_well(tmp_path: Path):
    twice = start("up", tmp_path, TINY_CHAT, TINY_CHAT)
    large = start("up", tmp_path, TINY_CHAT, MLXQ_MODEL_BYTES="1000")

    assert (twice.returncode, large.returncode) == (78, 78)
    assert twice.stderr.startswith("mlxq: Two models are called model: ")
    assert re.match(r"mlxq: model needs [\d,]+ bytes of memory, and models may take 1,000\.", large.stderr)
    assert not (tmp_path / "data").exists()


def test_every_command_that_ready_prints_works_and_progress_is_shown_before(
    tmp_path: Path, minilm: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("REDIS_URL", raising=False)
    models = (
        f"minilm={minilm}",
        f"tiny-chat={TINY_CHAT}",
        f"it's a ranker={make_ranker('bert', tmp_path / 'bert')}",
        f"pages={make_pages(tmp_path / 'pages')}",
    )
    options = [each for model in models for each in ("--model", model)]
    up = Program(
        tmp_path / "up.log",
        *("-m", "cli.main", "up", "--port", "0", "--data", str(tmp_path / "data"), *options),
    )
    try:
        up.wait_for("^API documentation", 180)
        before, _, after = up.said.partition("Ready after")
        for number, model in enumerate(("minilm", "tiny-chat", "it's a ranker", "pages"), 1):
            assert re.search(rf"loading a model model={model} number={number} of=4 size_gb=[\d.]+", before)
        commands = [shlex.split(line) for line in after.splitlines() if line.startswith("  curl ")]
        answered = [post(*command) for command in commands]
        assert answered == [
            ("/v1/embeddings", "minilm"),
            ("/v1/chat/completions", "tiny-chat"),
            ("/v1/rerank", "it's a ranker"),
            ("/v1/embeddings", "pages"),
        ]
        assert re.search(r"INFO mlxq\.access: POST /v1/rerank 200 \d+ ms job_id=\w+", up.said)
        assert "\x1b[" not in up.said
    finally:
        assert up.stop() == 0


def post(curl: str, url: str, _: str, header: str, __: str, body: str) -> tuple[str, str]:
    """Does what the command says; the path and the model that answered."""
    name, value = header.split(": ")
    reply = httpx.post(url, content=body, headers={name: value}, timeout=120, trust_env=False)
    assert (curl, reply.status_code) == ("curl", 200), reply.text
    return httpx.URL(url).path, json.loads(body)["model"]
