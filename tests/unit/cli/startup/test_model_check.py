"""What is said where the process that opens models ends badly."""

import signal
import subprocess

import pytest

from cli.startup import model_check
from cli.startup.model_check import CannotServe, served_names
from jobs.settings import Settings


def ended(code: int, stderr: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_check, "check_models", lambda settings: ([], False))
    monkeypatch.setattr(
        model_check.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), code, "", stderr)
    )


def test_the_reason_is_told_whatever_comes_behind_it(monkeypatch: pytest.MonkeyPatch):
    ended(78, "a warning\nmlxq worker: no such model\nException ignored in atexit\n", monkeypatch)
    with pytest.raises(CannotServe) as caught:
        served_names(Settings())
    assert str(caught.value) == "no such model"


@pytest.mark.parametrize(("code", "cause"), [(-signal.SIGKILL, "killed by SIGKILL"), (1, "exit code 1")])
def test_a_process_that_gave_no_reason_is_told_by_its_end(
    code: int, cause: str, monkeypatch: pytest.MonkeyPatch
):
    ended(code, "Traceback …\nMemoryError\n", monkeypatch)
    with pytest.raises(OSError, match=cause) as caught:
        served_names(Settings())
    assert "MemoryError" in str(caught.value)
