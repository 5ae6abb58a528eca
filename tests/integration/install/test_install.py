"""`install.py`, which `make setup` runs, with a real pip and packages made for it."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.stack import ROOT


def write_wheel(folder: Path, name: str) -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("env") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def install(python: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "install.py", python, "--no-index", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_pins_are_installed_without_a_word_of_pips(python: Path, tmp_path: Path):
    write_wheel(tmp_path, "one")
    write_wheel(tmp_path, "two")
    (tmp_path / "pins.txt").write_text("one==1.0\ntwo==1.0\nthree==1.0 ; sys_platform == 'plan9'\n")

    done = install(python, f"--find-links={tmp_path}", "-r", tmp_path / "pins.txt")

    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("Installed in ")
    assert "Collecting" not in done.stdout
    subprocess.run([python, "-c", "import one, two"], check=True)


def test_when_pip_fails_all_that_it_said_is_shown(python: Path):
    done = install(python, "no-such-package==1.0")

    assert done.returncode != 0
    assert "No matching distribution found for no-such-package==1.0" in done.stdout


def test_progress_counts_what_is_fetched_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from install import Progress

    progress = Progress(3, tmp_path)
    progress.read("Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment\n")
    progress.read("Collecting numpy==2.4.6 (from -r requirements.txt (line 40))\n")
    assert progress.look() == "fetching 1 of 2: numpy"
    progress.read("Processing /srv/mlx_lm-0.32.2-py3-none-any.whl (from -r requirements.txt (line 41))\n")
    assert progress.look() == "fetching 2 of 2: mlx_lm"

    progress.read("Installing collected packages: numpy, mlx-lm\n")
    (tmp_path / "numpy-2.4.6.dist-info").mkdir()
    assert progress.look() == "unpacking 1 of 2"
