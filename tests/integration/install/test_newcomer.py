"""The first five minutes: an empty home, a folder of papers, four commands and no setting but a free port."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.folders import ROOT
from tests.support.stack import READY_S, Program

PAPERS = ROOT / "examples" / "papers"
UNSET = ("REDIS_URL", "QDRANT_URL", "MLXQ_DATA", "XDG_DATA_HOME")
PATIENCE_S = 300


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    shutil.copytree(PAPERS, home / "Documents")
    monkeypatch.setenv("HOME", f"{home}")
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def up(home: Path, tmp_path: Path) -> Iterator[Program]:
    """`mlxq up`, as soon as it says something."""
    program = Program(tmp_path / "up.log", "-m", "cli.main", "up", "--port", "0")
    try:
        program.wait_for("^mlxq starts on", READY_S)
        yield program
    finally:
        program.stop()


def mlxq(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_four_commands_lead_from_a_folder_to_its_pages(home: Path, up: Program):
    began = time.monotonic()
    ingested = mlxq("ingest", f"{home}/Documents")  # while `mlxq up` starts
    found = mlxq("search", "How much is the deposit?")
    print(f"the first hit, {time.monotonic() - began:.1f} s after `mlxq up` began")

    assert ingested.returncode == 0
    assert "3 documents (5 pages) ingested into 'documents'" in ingested.stdout, ingested.stderr
    assert found.stdout.splitlines()[0].startswith(" 1 ~/Documents/lease.pdf:1 "), found.stderr

    assert "mlxq ingest ~/Documents" in up.said

    asked = mlxq("ask", "How much is the deposit?")
    assert asked.returncode == 0
    assert asked.stdout.splitlines()[0].startswith(" 1 ~/Documents/lease.pdf:1 ")
    assert "2,480 euros" in asked.stdout
    assert re.search(r"note: .*No worker serves a model that writes answers.*mlxq up --model", asked.stderr)

    as_json = mlxq("ask", "How much is the deposit?", "--json")
    assert (as_json.returncode, as_json.stdout) == (1, "")  # a program wants an answer or an error


def test_before_anything_runs_each_command_says_what_to_start(home: Path):
    for command in (("ingest", f"{home}/Documents"), ("search", "deposit"), ("ask", "deposit")):
        done = mlxq(*command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.endswith("No vector store runs here: start `mlxq up` in another terminal.\n")


def test_before_anything_is_ingested_a_search_says_what_to_do(up: Program):
    up.wait_for("^Ready after", READY_S)

    nothing = mlxq("search", "deposit")

    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "Make one: mlxq ingest FOLDER" in nothing.stderr
