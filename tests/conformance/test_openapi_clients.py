"""What others make of /openapi.json, held against real processes: a generated client."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from tests.support.stack import MODEL, ROOT, Stack

GENERATOR = "openapi-python-client==0.29.1"
"""Run in an environment of its own: its requirements exclude those of our development tools."""
CALLS = Path(__file__).with_name("generated_calls.py")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    models = (f"tiny-chat={ROOT / 'examples' / 'tiny_chat' / 'model'}", MODEL)
    with Stack(tmp_path_factory.mktemp("openapi"), *models) as stack:
        yield stack


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    """uv, with these arguments; what it printed. Its first run downloads what is missing."""
    done = subprocess.run(
        [uv.find_uv_bin(), *command],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_generated_client_embeds_chats_and_waits_for_a_job(stack: Stack, tmp_path: Path):
    document = tmp_path / "openapi.json"
    document.write_bytes(stack.http.get(f"{stack.url}/openapi.json").content)
    # It knows no files by their own media types.
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"content_type_overrides": {"image/png": "application/octet-stream"}}))

    made = run(
        "tool", "run", "--python", sys.executable, "--from", GENERATOR,
        "openapi-python-client", "generate", "--path", document, "--config", config, "--fail-on-warning",
        cwd=tmp_path,
    )  # fmt: skip
    assert "arning" not in made

    said = run(
        "run", "--no-project", "--python", sys.executable, "--with", "httpx<0.29", "--with", "attrs",
        "python", CALLS, stack.url, cwd=tmp_path, PYTHONPATH=str(tmp_path / "mlxq-client"),
    )  # fmt: skip

    found = json.loads(said)
    answer = found.pop("answer")
    assert isinstance(answer, str) and answer
    assert found == {
        "sizes": [384, 384],
        "finish_reason": "length",
        "completion_tokens": 8,
        "job": ["finished", "bulk", "EmbeddingReply", 384],
        "error": "model_not_found",
        "model": "generate",
    }
