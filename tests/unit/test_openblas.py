import sys
from pathlib import Path

import pytest

from workers import openblas


@pytest.fixture
def _linux_cpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(openblas, "CUDA_PACKAGES", ())


@pytest.mark.usefixtures("_linux_cpu")
def test_what_was_preloaded_before_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openblas, "find_openblas", lambda: Path("/lib/openblas.so"))

    assert openblas.preload_openblas({"LD_PRELOAD": "/lib/jemalloc.so"})["LD_PRELOAD"].split() == [
        "/lib/openblas.so",
        "/lib/jemalloc.so",
    ]
    assert openblas.preload_openblas({"A": "b"})["LD_PRELOAD"] == "/lib/openblas.so"


@pytest.mark.usefixtures("_linux_cpu")
def test_its_threads_sleep_soon_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(openblas, "find_openblas", lambda: Path("/lib/openblas.so"))

    assert openblas.preload_openblas({})["OPENBLAS_THREAD_TIMEOUT"] == "4"
    assert openblas.preload_openblas({"OPENBLAS_THREAD_TIMEOUT": "20"})["OPENBLAS_THREAD_TIMEOUT"] == "20"


@pytest.mark.usefixtures("_linux_cpu")
def test_without_any_openblas_a_warning_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(openblas, "find_openblas", lambda: None)

    assert openblas.preload_openblas({"A": "b"}) == {"A": "b"}
    assert "apt install libopenblas0-pthread" in caplog.text


def test_a_mac_and_a_machine_with_mlx_cuda_need_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(openblas, "CUDA_PACKAGES", ("pytest",))  # a package that is installed
    assert openblas.preload_openblas({"A": "b"}) == {"A": "b"}

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(openblas, "CUDA_PACKAGES", ())
    assert openblas.preload_openblas({"A": "b"}) == {"A": "b"}
