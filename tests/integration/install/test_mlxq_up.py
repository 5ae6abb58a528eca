"""The whole process tree, started as a user starts it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from queue import Empty, Queue

import httpx
import psutil
import pytest

from tests.support.folders import ROOT
from tests.support.waiting import PATIENCE_S, wait_until


class Tree:
    """A running `mlxq` and what it has said so far."""

    def __init__(self, *arguments: str) -> None:
        environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""
        self._lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def wait_for(self, pattern: str, timeout_s: float = PATIENCE_S) -> re.Match[str]:
        """The first thing said from now on that matches."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(0, deadline - time.monotonic()))
            except Empty:
                raise AssertionError(f"never said {pattern!r}, but:\n{self.said}") from None
            self.said += line
            if found := re.search(pattern, line):
                return found

    def children(self) -> dict[str, list[psutil.Process]]:
        """By what they are."""
        kinds: dict[str, list[psutil.Process]] = {"redis": [], "api": [], "worker": []}
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.Error):
                line = " ".join(child.cmdline())
                for kind, word in (
                    ("redis", "-server "),
                    ("api", "--large-port"),
                    ("worker", "-m workers"),
                ):
                    if word in line:
                        kinds[kind].append(child)
        return kinds

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Tree]]:
    trees: list[Tree] = []

    def start_tree(*arguments: str) -> Tree:
        trees.append(Tree(*arguments))
        return trees[-1]

    yield start_tree
    for tree in trees:
        tree.close()


@pytest.fixture
def up(start: Callable[..., Tree], tmp_path: Path, minilm: Path) -> Callable[..., tuple[Tree, str]]:
    """Starts `mlxq up` with MiniLM; returns it and its URL."""

    def run(*more: str) -> tuple[Tree, str]:
        tree = start("up", "--port", "0", "--data", str(tmp_path), "--model", f"minilm={minilm}", *more)
        return tree, tree.wait_for(r"starts on (\S+)")[1]

    return run


def embed(url: str) -> httpx.Response:
    return httpx.post(f"{url}/v1/embeddings", json={"model": "minilm", "input": "Hello"}, timeout=PATIENCE_S)


def answers(url: str) -> bool:
    try:
        return embed(url).status_code == 200
    except httpx.TransportError:
        return False


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def test_up_answers_when_it_says_ready_and_one_signal_ends_every_process(up: Callable[..., tuple[Tree, str]]):
    tree, url = up("--api-processes", "2")
    tree.wait_for("^Ready after")

    assert len(embed(url).json()["data"][0]["embedding"]) == 384
    children = tree.children()
    assert {kind: len(found) for kind, found in children.items()} == {"redis": 1, "api": 2, "worker": 1}

    tree.process.send_signal(signal.SIGINT)

    assert tree.process.wait(PATIENCE_S) == 0
    assert gone([*chain(*children.values())])


def test_whichever_process_is_killed_the_service_comes_back(up: Callable[..., tuple[Tree, str]]):
    tree, url = up()
    tree.wait_for("^Ready after")

    for kind in ("worker", "api", "redis"):
        victim = tree.children()[kind][0]
        victim.kill()
        wait_until(lambda victim=victim: gone([victim]))
        wait_until(lambda: answers(url))
        wait_until(lambda kind=kind: tree.children()[kind])
        assert tree.children()[kind][0].pid != victim.pid

    assert embed(url).status_code == 200


def test_when_mlxq_itself_is_killed_nothing_is_left_running(up: Callable[..., tuple[Tree, str]]):
    tree, _ = up()
    tree.wait_for("^Ready after")
    children = [*chain(*tree.children().values())]
    assert len(children) == 3

    tree.process.kill()

    wait_until(lambda: gone(children))


def test_a_model_that_does_not_exist_ends_it_with_the_reason(start: Callable[..., Tree], tmp_path: Path):
    tree = start("up", "--port", "0", "--data", str(tmp_path / "data"), "--model", str(tmp_path / "no-model"))

    tree.wait_for("no-model.*")
    assert tree.process.wait(PATIENCE_S) == 78


def test_a_second_up_on_the_same_folder_is_refused_and_told_why(
    up: Callable[..., tuple[Tree, str]], start: Callable[..., Tree], tmp_path: Path
):
    first, _ = up()

    second = start("up", "--port", "0", "--data", str(tmp_path))

    second.wait_for(f"^mlxq: .* in use by mlxq \\(pid {first.process.pid}\\)")
    assert second.process.wait(PATIENCE_S) == 1


def test_serve_starts_without_redis_and_says_so(start: Callable[..., Tree], tmp_path: Path):
    tree = start("serve", "--port", "0", "--redis", f"unix://{tmp_path}/none.sock")
    tree.wait_for("Redis cannot be used: not reachable: no such socket")
    url = tree.wait_for(r"serves (http\S+),")[1]

    wait_until(lambda: is_up(url))

    assert httpx.get(f"{url}/ready").status_code == 503
    assert embed(url).status_code == 503


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.TransportError:
        return False
