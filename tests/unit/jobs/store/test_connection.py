from pathlib import Path

import pytest

from jobs.settings import Settings
from jobs.store.connection import connect, connect_async, own_server, redis_url
from jobs.store.data_folder import DataFolder


@pytest.fixture(autouse=True)
def _no_redis_url(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("REDIS_URL", raising=False)


def test_a_redis_url_is_used_as_it_is_and_no_server_is_started():
    settings = Settings(redis_url="redis://elsewhere:6379/3")

    assert redis_url(settings) == "redis://elsewhere:6379/3"
    assert own_server(settings) is None


def test_without_a_redis_url_parts_on_one_machine_meet_at_the_data_folders_socket(tmp_path: Path):
    settings = Settings(data=tmp_path)
    server = own_server(settings)

    assert server is not None
    assert redis_url(settings) == server.url == f"unix://{tmp_path}/redis/redis.sock"


def test_a_socket_path_over_the_systems_limit_becomes_a_short_private_one(tmp_path: Path):
    deep, other = tmp_path / ("x" * 100), tmp_path / ("y" * 100)

    assert len(bytes(DataFolder(deep).socket)) < 104
    assert DataFolder(deep).url == DataFolder(deep).url
    assert DataFolder(deep).url != DataFolder(other).url


@pytest.mark.parametrize("make", [connect, connect_async])
def test_a_url_that_is_none_is_refused_at_once(make):
    with pytest.raises(ValueError, match="redis://"):
        make("localhost:6379")
