"""A stand-in hub, and a machine that pulls from it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.machines.commands import Progress
from tests.support.hub.repository import HubRepository, Made, repository
from tests.support.hub.server import Hub, running_hub
from workers.hub.download import Patience
from workers.hub.fetch import Fetched
from workers.hub.fetch import Hub as Source
from workers.hub.fetch import fetch as fetch_model
from workers.hub.reporter import Reporter

WEIGHTS_BYTES = 5_000_000

Fetch = Callable[..., Fetched]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """With one model, org/model."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nonexistent")
    with running_hub() as running:
        running.repositories["org/model"] = small_model()
        yield running


def small_model(**more: bytes | Made) -> HubRepository:
    files: dict[str, bytes | Made] = {
        "config.json": b'{"model_type": "bert"}',
        "tokenizer.json": b"{}",
        "model.safetensors": Made(WEIGHTS_BYTES),
        "pytorch_model.bin": Made(WEIGHTS_BYTES, seed=1),
        "modeling.py": b"import os",
    }
    return repository({**files, **{name.replace("__", "."): content for name, content in more.items()}})


@pytest.fixture
def told() -> list[Progress]:
    return []


@pytest.fixture
def source(hub: Hub, tmp_path: Path) -> Source:
    patience = Patience(connect_s=1, stall_s=0.3, tries=3, first_pause_s=0.01)
    return Source(hub.url, tmp_path / "cache", patience)


@pytest.fixture
def fetch(source: Source, told: list[Progress]) -> Fetch:
    def run(name: str = "org/model", revision: str | None = None, **options: object) -> Fetched:
        return fetch_model(name, revision, source, Reporter(told.append, interval_s=0), **options)  # type: ignore[arg-type]

    return run
