import json
from pathlib import Path
from typing import Any

import pytest

from workers import backend
from workers.backend import NoBackend, check_backend, how_to_install, source_with_extra


@pytest.mark.parametrize(
    ("origin", "arguments"),
    [
        ({"url": "file:///home/me/My%20Projects/mlxq", "dir_info": {}}, ["/home/me/My Projects/mlxq[cpu]"]),
        ({"url": "file:///x/mlxq", "dir_info": {"editable": True}}, ["--editable", "/x/mlxq[cpu]"]),
        (
            {"url": "file:///x/mlxq-1-py3-none-any.whl", "archive_info": {}},
            ["/x/mlxq-1-py3-none-any.whl[cpu]"],
        ),
        ({"url": "https://host/mlxq.whl", "archive_info": {}}, ["mlxq[cpu] @ https://host/mlxq.whl"]),
        (
            {"url": "https://host/mlxq.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            ["mlxq[cpu] @ git+https://host/mlxq.git@abc"],
        ),
        ({}, ["mlxq[cpu]"]),
    ],
)
def test_it_is_installed_again_from_where_it_came(origin: dict[str, Any], arguments: list[str]):
    assert source_with_extra(json.loads(json.dumps(origin)), "cpu") == arguments


@pytest.mark.parametrize(("found", "extra"), [(None, "[cpu]"), ("/usr/bin/nvidia-smi", "[cuda]")])
def test_the_command_has_the_extra_for_this_machine(
    found: str | None, extra: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(backend.shutil, "which", lambda _: found)

    _, _, command = how_to_install().partition("Run: ")

    assert extra in command


def test_an_mlx_that_cannot_be_loaded_for_another_reason_is_told_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """As with a driver that is missing: the backend is there, and the operating system refuses it."""
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx" / "core.py").write_text(
        "raise ImportError('libcuda.so.1: cannot open shared object file')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(backend, "_library_is_there", lambda: False)
    monkeypatch.setattr(backend.sys, "platform", "linux")

    with pytest.raises(NoBackend, match=r"^MLX cannot be loaded: ImportError: libcuda\.so\.1: cannot open"):
        check_backend()
