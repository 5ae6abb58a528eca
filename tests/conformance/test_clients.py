"""Clients and frameworks that cannot be installed beside us, each in tests of its own, against one server.

Python's run in an environment of their own (`clients/`, by requirements-clients.txt), JavaScript's in Node (`node/`).
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import client_environment, node_clients
from tests.conformance.conftest import serving
from tests.conformance.scripted_queue import ScriptedQueue
from tests.support.folders import ROOT
from tests.support.memory_generation import CHAT_MODEL
from tests.support.memory_queue import MODEL, MemoryQueue
from tests.support.memory_rerank import RERANK_MODEL

PYTHON = sorted(client_environment.FOLDER.glob("*_calls.py"))
NODE = sorted(node_clients.FOLDER.glob("*_calls.mjs"))
TIMEOUT_S = 300


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(ScriptedQueue()) as url:
        yield url


@pytest.fixture(scope="module")
def sole_url() -> Iterator[str]:
    """Of a server that has one model for each task."""
    with serving(MemoryQueue(models=(MODEL, CHAT_MODEL, RERANK_MODEL))) as url:
        yield url


def test_there_are_files_of_both():
    assert PYTHON and NODE


@pytest.mark.parametrize("file", PYTHON, ids=lambda file: file.stem.removesuffix("_calls"))
def test_a_client_in_python_gets_what_it_asks_for(url: str, sole_url: str, file: Path):
    python = client_environment.install_clients()
    configuration = client_environment.FOLDER / "pytest.ini"
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-c", configuration, file],
        cwd=ROOT,
        env={**client_environment.environment(), "MLXQ_TEST_URL": url, "MLXQ_TEST_SOLE_URL": sole_url},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("file", NODE, ids=lambda file: file.stem.removesuffix("_calls"))
def test_a_client_in_javascript_gets_what_it_asks_for(url: str, file: Path):
    node_clients.install_clients()
    said = node_clients.run_tests(file, url, TIMEOUT_S)
    assert "# fail 0" in said, said
