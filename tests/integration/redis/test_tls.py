"""Redis behind TLS with an authority of our own, as the docs say it. The server's end of TLS is a proxy in the test,
because not every Redis binary has TLS.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from jobs.store import outage
from jobs.store.connection import connect_async, connect_once
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.redis_servers.forwarder import Forwarder, forwarding
from tests.support.running_worker import open_queue, run, running_worker, vectors
from tests.support.web import certificate


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Forwarder]:
    """To a real Redis. It shows a certificate for localhost, and asks for one that the same authority has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mine = certificate("localhost", tmp_path)
    context.load_cert_chain(mine)
    context.load_verify_locations(mine)
    context.verify_mode = ssl.CERT_REQUIRED
    with (
        RedisServer(tmp_path / "redis"),
        forwarding(tmp_path / "redis" / "redis.sock", context) as forwarder,
    ):
        yield forwarder


def options(folder: Path) -> str:
    file = folder / "localhost.pem"
    return f"ssl_ca_certs={file}&ssl_certfile={file}&ssl_keyfile={file}"


async def test_worker_and_client_work_through_tls_with_an_authority_of_their_own(
    way: Forwarder, tmp_path: Path
):
    url = f"rediss://localhost:{way.port}/0?{options(tmp_path)}"
    with running_worker(url, FakeRunner()):
        async with open_queue(url) as queue:
            assert vectors(await run(queue, "a")) == [expected_vector("a")]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_without_the_authority_or_under_another_name_it_is_not_trusted(
    host: str, way: Forwarder, tmp_path: Path
):
    query = "" if host == "localhost" else f"?{options(tmp_path)}"
    url = f"rediss://{host}:{way.port}/0{query}"
    with connect_once(url) as client, pytest.raises(redis.ConnectionError) as found:
        client.ping()
    assert outage.cause_of(found.value) == "its certificate is not trusted"
    async with connect_async(url) as client:
        with pytest.raises(redis.ConnectionError) as found:
            await client.ping()
    assert outage.cause_of(found.value) == "its certificate is not trusted"
