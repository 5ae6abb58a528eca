"""The whole process tree of `mlxq`, started as a user starts it."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.stack import Program
from tests.support.waiting import PATIENCE_S, wait_until


def children_of(program: Program) -> dict[str, list[psutil.Process]]:
    """What the command supervises, by what it is."""
    kinds: dict[str, list[psutil.Process]] = {"redis": [], "api": [], "worker": []}
    for child in program.children():
        with contextlib.suppress(psutil.Error):
            line = " ".join(child.cmdline())
            for kind, word in (("redis", "-server "), ("api", "--large-port"), ("worker", "-m workers")):
                if word in line:
                    kinds[kind].append(child)
    return kinds


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Program]]:
    """Starts `mlxq` with these arguments, and without a REDIS_URL."""
    programs: list[Program] = []

    def start_program(*arguments: str) -> Program:
        log = tmp_path_factory.mktemp("mlxq") / "log"
        programs.append(Program(log, "-m", "cli.main", *arguments, REDIS_URL=None))
        return programs[-1]

    yield start_program
    for program in programs:
        program.process.kill()
        program.process.wait()


@pytest.fixture
def up(start: Callable[..., Program], tmp_path: Path, minilm: Path) -> Callable[..., tuple[Program, str]]:
    """Starts `mlxq up` with MiniLM; returns it and its URL."""

    def run(*more: str) -> tuple[Program, str]:
        program = start("up", "--port", "0", "--data", str(tmp_path), "--model", f"minilm={minilm}", *more)
        return program, program.wait_for(r"starts on (\S+)")[1]

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


def test_up_answers_when_it_says_ready_and_one_signal_ends_every_process(
    up: Callable[..., tuple[Program, str]],
):
    program, url = up("--api-processes", "2")
    program.wait_for("^Ready after")

    assert len(embed(url).json()["data"][0]["embedding"]) == 384
    children = children_of(program)
    assert {kind: len(found) for kind, found in children.items()} == {"redis": 1, "api": 2, "worker": 1}

    program.process.send_signal(signal.SIGINT)

    assert program.process.wait(PATIENCE_S) == 0
    assert gone([*chain(*children.values())])


def test_whichever_process_is_killed_the_service_comes_back(up: Callable[..., tuple[Program, str]]):
    program, url = up()
    program.wait_for("^Ready after")

    for kind in ("worker", "api", "redis"):
        victim = children_of(program)[kind][0]
        victim.kill()
        wait_until(lambda victim=victim: gone([victim]))
        wait_until(lambda: answers(url))
        wait_until(lambda kind=kind: children_of(program)[kind])
        assert children_of(program)[kind][0].pid != victim.pid

    assert embed(url).status_code == 200


def test_when_mlxq_itself_is_killed_nothing_is_left_running(up: Callable[..., tuple[Program, str]]):
    program, _ = up()
    program.wait_for("^Ready after")
    children = [*chain(*children_of(program).values())]
    assert len(children) == 3

    program.process.kill()

    wait_until(lambda: gone(children))


def test_a_model_that_does_not_exist_ends_it_with_the_reason(start: Callable[..., Program], tmp_path: Path):
    program = start(
        "up", "--port", "0", "--data", str(tmp_path / "data"), "--model", str(tmp_path / "no-model")
    )

    program.wait_for("no-model.*")
    assert program.process.wait(PATIENCE_S) == 78


def test_a_second_up_on_the_same_folder_is_refused_and_told_why(
    up: Callable[..., tuple[Program, str]], start: Callable[..., Program], tmp_path: Path
):
    first, _ = up()

    second = start("up", "--port", "0", "--data", str(tmp_path))

    second.wait_for(f"^mlxq: .* in use by mlxq \\(pid {first.process.pid}\\)")
    assert second.process.wait(PATIENCE_S) == 1


def test_serve_starts_without_redis_and_says_so(start: Callable[..., Program], tmp_path: Path):
    program = start("serve", "--port", "0", "--redis", f"unix://{tmp_path}/none.sock")
    program.wait_for("Redis cannot be used: not reachable: no such socket")
    url = program.wait_for(r"serves (http\S+),")[1]

    wait_until(lambda: is_up(url))

    assert httpx.get(f"{url}/ready", timeout=PATIENCE_S).status_code == 503
    assert embed(url).status_code == 503


def is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=PATIENCE_S).status_code == 200
    except httpx.TransportError:
        return False
