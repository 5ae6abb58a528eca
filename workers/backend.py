"""MLX's backend: on Linux a package of its own, which an extra of mlxq installs."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname


class NoBackend(Exception):
    """MLX cannot be loaded."""


def check_backend() -> None:
    """Raises NoBackend, which says how to install one. Imports no MLX into this process."""
    if sys.platform != "linux" or _library_is_there():
        return
    run = subprocess.run(
        [sys.executable, "-P", "-c", "import mlx.core"], capture_output=True, text=True, check=False
    )
    if run.returncode == 0:
        return
    if "libmlx.so" in run.stderr:
        raise NoBackend(how_to_install())
    raise NoBackend(f"MLX cannot be loaded: {_last_line(run.stderr) or f'exit code {run.returncode}'}.")


def how_to_install() -> str:
    """One line: which extra is missing, and the command that adds it to this installation."""
    extra = "cuda" if shutil.which("nvidia-smi") else "cpu"
    return (
        "MLX has no backend: mlxq was installed without an extra, [cpu] or (for an NVIDIA GPU) [cuda]. "
        f"Run: {install_command(extra)}"
    )


def install_command(extra: str) -> str:
    """For the tool that installed us, and from where it did."""
    source = source_with_extra(
        json.loads(metadata.distribution("mlxq").read_text("direct_url.json") or "{}"), extra
    )
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").is_file():
        command = ["uv", "tool", "install"]
    elif (prefix / "pipx_metadata.json").is_file():
        command = ["pipx", "install", "--force"]
    elif util.find_spec("pip"):
        command = [sys.executable, "-m", "pip", "install"]
    else:
        command = ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*command, *source])


def source_with_extra(origin: Mapping[str, Any], extra: str) -> list[str]:
    """Arguments for pip, pipx and uv.

    origin: where we were installed from, as the standard file direct_url.json says it (PEP 610); empty for an index.
    """
    url = origin.get("url", "")
    if vcs := origin.get("vcs_info"):
        return [f"mlxq[{extra}] @ {vcs['vcs']}+{url}@{vcs['commit_id']}"]
    if not url.startswith("file:"):
        return [f"mlxq[{extra}] @ {url}" if url else f"mlxq[{extra}]"]
    path = f"{url2pathname(urlsplit(url).path)}[{extra}]"
    return ["--editable", path] if origin.get("dir_info", {}).get("editable") else [path]


def _library_is_there() -> bool:
    spec = util.find_spec("mlx")
    folders = (spec and spec.submodule_search_locations) or ()
    return any((Path(folder) / "lib" / "libmlx.so").is_file() for folder in folders)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
