"""`python -m workers.pull`: killed, canceled, two at a time, on a disk that fills up."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.catalogue.file import CatalogueFile
from tests.checkpoints import make
from tests.support.folders import ROOT
from tests.support.hub.repository import HubRepository, Made, of_folder, repository
from tests.support.hub.server import Hub
from tests.support.waiting import wait_until

SIZE_BYTES = 40_000_000
WEIGHTS = "model.safetensors"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def model(hub: Hub, tmp_path: Path) -> HubRepository:
    """org/large: its weights are bytes of no meaning."""
    found = of_folder(make.make("bert", tmp_path / "published"))
    found.files.update(repository({WEIGHTS: Made(SIZE_BYTES)}).files)
    hub.repositories["org/large"] = found
    return found


@pytest.fixture
def start(hub: Hub, model: HubRepository, tmp_path: Path) -> Iterator[Start]:
    environ = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
        "MLXQ_DATA": str(tmp_path / "data"),
        "MLX_LM_TRUST_REMOTE_CODE": "1",
    }
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        command = [
            *before,
            sys.executable,
            "-m",
            "workers.pull",
            "org/large",
        ]
        process = subprocess.Popen(
            [*command, *arguments], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def lines_of(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    output, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    return [json.loads(line) for line in output.splitlines()]


def is_right(tmp_path: Path, model: HubRepository) -> bool:
    (entry,) = CatalogueFile(tmp_path / "data").read().entries
    return all(
        file.digest in (hashlib.sha256(content).hexdigest(), _git(content))
        for path, file in model.files.items()
        for content in [(Path(entry.folder) / path).read_bytes()]
    )


def _git(content: bytes) -> str:
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def test_a_pull_that_was_killed_twice_downloads_hardly_more_than_the_model(
    hub: Hub, start: Start, model: HubRepository, tmp_path: Path
):
    hub.bytes_per_s = 30_000_000
    for share in (0.3, 0.9):
        process = start()
        wait_until(lambda share=share: hub.sent[WEIGHTS] > share * SIZE_BYTES)
        process.kill()
        process.wait()
    hub.bytes_per_s = None

    last = lines_of(start())[-1]

    assert last == {"status": "success", "name": "org/large"}
    assert is_right(tmp_path, model)
    assert sum(hub.sent.values()) <= 1.05 * sum(file.size_bytes for file in model.files.values())


def test_a_signal_cancels_at_once_and_keeps_what_came(hub: Hub, start: Start, tmp_path: Path):
    hub.bytes_per_s = 20_000_000
    process = start()
    wait_until(lambda: hub.sent[WEIGHTS] > 5_000_000)

    process.send_signal(signal.SIGINT)
    last = lines_of(process)[-1]

    assert process.returncode == 130
    assert last["code"] == "job_canceled" and "pull again to go on from there" in last["hint"]
    (part,) = (tmp_path / "cache").glob(f"models--*/blobs/{model_part(hub)}")
    assert part.stat().st_size > 3_000_000
    assert CatalogueFile(tmp_path / "data").read().entries == ()


def model_part(hub: Hub) -> str:
    return f"{hub.repositories['org/large'].files[WEIGHTS].digest}.mlxq.incomplete"


def test_a_canceled_pull_ends_although_the_network_does_not_answer(
    hub: Hub, start: Start, monkeypatch: pytest.MonkeyPatch
):
    hub.stall_after[WEIGHTS] = [1_000_000]
    process = start()
    wait_until(lambda: hub.sent[WEIGHTS] >= 1_000_000)

    process.terminate()

    assert lines_of(process)[-1]["code"] == "job_canceled"
    assert process.returncode == 130


def test_two_pulls_at_once_download_the_model_once(
    hub: Hub, start: Start, model: HubRepository, tmp_path: Path
):
    hub.bytes_per_s = 30_000_000

    both = [lines_of(process) for process in [start(), start("--as", "other")]]

    assert [lines[-1]["status"] for lines in both] == ["success", "success"]
    assert sum(hub.sent.values()) == sum(file.size_bytes for file in model.files.values())
    entries = CatalogueFile(tmp_path / "data").read().entries
    assert len({entry.folder for entry in entries}) == 1
    assert {entry.name for entry in entries} == {"org/large", "other"}


def test_a_disk_that_fills_up_is_said_and_the_next_pull_goes_on(
    hub: Hub, start: Start, model: HubRepository, tmp_path: Path
):
    """No file may have more than 16 MB: what a write then says is treated as what it says of a full disk."""
    hub.bytes_per_s = 30_000_000
    last = lines_of(start(before=("bash", "-c", 'ulimit -f 16000; exec "$@"', "-")))[-1]

    assert last["code"] == "disk_full"
    assert "Make room" in last["hint"] and "full" in last["error"]
    hub.bytes_per_s = None
    assert lines_of(start())[-1]["status"] == "success"
    assert is_right(tmp_path, model)
    assert sum(hub.sent.values()) <= 1.05 * sum(file.size_bytes for file in model.files.values())


@pytest.mark.parametrize(("name", "code"), [("a b", "bad_name"), ("all-MiniLM-L6-v2", "name_taken")])
def test_what_is_wrong_with_the_request_is_said_in_the_same_way(start: Start, name: str, code: str):
    process = start("--as", name)

    assert lines_of(process)[-1]["code"] == code
    assert process.returncode == 1
