import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.completion import SHELLS, completion
from cli.main import build_parser

_ASK = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_shtab_mlxq
echo "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("completion") / "mlxq.bash"
    file.write_text(completion(build_parser(), "bash"))
    return file


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["re"], {"rerank"}),
        (["sho"], {"show"}),
        (["run", "--verb"], {"--verbose"}),
        (["embed", "MODEL", "--type", ""], {"query", "document"}),
        (["run", ""], {"one-model", "org/other"}),
        (["stop", "one-model", "org"], {"org/other"}),
        (["rerank", "one-model", "query", "a"], {"a.txt"}),
        (["worker", "--data", "f"], {"folder"}),
        (["up", "--model", "f"], {"folder"}),
        (["completion", ""], {*SHELLS}),
    ],
)
def test_bash_is_offered_what_fits(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: list[str], offered: set[str]
):
    (tmp_path / "a.txt").touch()
    (tmp_path / "folder").mkdir()
    names = tmp_path / "mlxq"  # stands for ours, and knows two models
    names.write_text("#!/bin/sh\nprintf 'one-model\\norg/other\\n'\n")
    names.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    bash = shutil.which("bash")
    assert bash is not None

    said = subprocess.run(
        [bash, "-c", _ASK, "bash", script, "mlxq", *typed],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert {*said.stdout.split()} == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_with_every_command(shell: str):
    script = completion(build_parser(), shell)
    for word in ("run", "rerank", "collections", "keepalive", "mlxq list --quiet"):
        assert word in script
