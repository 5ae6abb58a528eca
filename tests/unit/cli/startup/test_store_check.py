"""A command that comes while `mlxq up` starts."""

import socket
import threading
from pathlib import Path

import pytest

from cli.startup.store_check import await_store
from ingest.qdrant.folder import vector_folder
from jobs.settings import Settings
from jobs.store.data_folder import DataFolder


def listening(at: Path) -> socket.socket:
    at.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(at))
    listener.listen()
    return listener


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path, qdrant_url=None)


def test_a_store_that_starts_is_waited_for_and_that_is_told_once(settings: Settings):
    told, found = list[str](), list[socket.socket]()
    appear = threading.Timer(0.5, lambda: found.append(listening(vector_folder(settings).socket)))
    with listening(DataFolder(settings.data / "redis").socket):
        appear.start()
        await_store(settings, told.append)

        assert vector_folder(settings).is_served()
    assert told == ["`mlxq up` is starting, and is waited for."]
    found[0].close()


def test_where_nothing_runs_nothing_is_waited_for(settings: Settings):
    told = list[str]()

    await_store(settings, told.append)

    assert told == []


def test_where_a_qdrant_server_is_used_nothing_is_waited_for(settings: Settings):
    told = list[str]()
    with listening(DataFolder(settings.data / "redis").socket):
        await_store(settings.model_copy(update={"qdrant_url": "http://qdrant:6333"}), told.append)

    assert told == []
