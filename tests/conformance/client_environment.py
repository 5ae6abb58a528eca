"""An environment of its own for clients whose requirements exclude ours: built once, and whenever its pins change."""

import os
import subprocess
import sys
from pathlib import Path

import uv
from filelock import FileLock

from tests.support.folders import ROOT

FOLDER = Path(__file__).parent / "clients"
ENVIRONMENT = ROOT / ".venv" / "clients"
PINS = ROOT / "requirements-clients.txt"


def install_clients() -> Path:
    """Its Python. Two processes that ask at once wait for each other."""
    python = ENVIRONMENT / "bin" / "python"
    wanted = f"{sys.version}\n{PINS.read_text()}"
    installed = ENVIRONMENT / ".installed"
    with FileLock(ROOT / ".venv" / "clients.lock"):
        if not (installed.is_file() and installed.read_text() == wanted):
            _uv("venv", "--clear", "--python", sys.executable, ENVIRONMENT)
            _uv("pip", "install", "--no-deps", "--python", python, "--requirement", PINS)
            installed.write_text(wanted)
    return python


def environment() -> dict[str, str]:
    """Variables for its Python: nothing of ours, and what LiteLLM reads when it is imported.

    Bytecode is written: to compile LiteLLM anew takes ten seconds.
    """
    dropped = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    # Some of its providers heed no other limit of retries. Its prices of models come from the network otherwise.
    return {**kept, "DEFAULT_MAX_RETRIES": "0", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def _uv(*command: str | Path) -> None:
    done = subprocess.run(
        [uv.find_uv_bin(), *command], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=480
    )
    assert done.returncode == 0, done.stderr
