"""Which Redis is taken, which is refused, and what is said of it: with real servers that are set up so."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
import redis
from redis.exceptions import OutOfMemoryError

from jobs.settings import Settings
from jobs.store.connection import connect, connect_async, own_server
from jobs.store.probe import Probe, RedisUnusable
from jobs.store.redis_server import RedisServer
from jobs.store.servers.rights import ACL_RULES
from tests.support.fake_runner import FakeRunner, expected_vector
from tests.support.folders import ROOT
from tests.support.redis_servers.group import Process
from tests.support.running_worker import open_queue, run, running_worker, vectors
from tests.support.stack import Program
from tests.support.waiting import PATIENCE_S

PASSWORD = "sparrow"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Its default user may do everything."""
    with RedisServer(tmp_path_factory.mktemp("guarded") / "redis") as server:
        yield server


async def ask(url: str) -> tuple[str | None, tuple[str, ...]]:
    """Why it cannot be used, and what it is warned of."""
    async with connect_async(url) as client:
        probe = Probe(client)
        try:
            await probe.ask(lambda: asyncio.sleep(0), PATIENCE_S)
        except RedisUnusable as error:
            return error.cause if error.is_final else f"for now: {error.cause}", probe.warnings
        else:
            return None, probe.warnings
        finally:
            await probe.aclose()


@pytest.fixture
def process(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Process]:
    process = Process(tmp_path / "redis", *request.param)
    try:
        yield process
    finally:
        process.kill()


@pytest.mark.parametrize("process", [("--cluster-enabled", "yes")], indirect=True)
async def test_a_cluster_is_refused_with_the_reason(process: Process):
    cause, _ = await ask(process.url)
    assert cause is not None
    assert "it is a Redis Cluster" in cause
    assert "use a single Redis" in cause


@pytest.mark.parametrize(
    "policy", ["allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-ttl", "allkeys-random"]
)
async def test_a_redis_that_would_delete_jobs_or_results_is_refused(policy: str, guarded: RedisServer):
    with connect(guarded.url) as client:
        client.config_set("maxmemory-policy", policy)
        try:
            unbounded = await ask(guarded.url)
            client.config_set("maxmemory", "1gb")
            bounded = await ask(guarded.url)
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", "0")
    assert bounded[0] == (
        f"its maxmemory-policy {policy} deletes jobs or results when its memory is full: set it to noeviction"
    )
    assert (unbounded[0], len(unbounded[1])) == (None, 1)


async def test_a_redis_without_an_append_only_file_is_warned_of_and_one_with_it_is_not(guarded: RedisServer):
    assert await ask(guarded.url) == (None, ())
    with connect(guarded.url) as client:
        client.config_set("appendonly", "no")
        try:
            cause, warnings = await ask(guarded.url)
        finally:
            client.config_set("appendonly", "yes")
    assert cause is None
    assert [line for line in warnings if "no append-only file" in line] == list(warnings) != []


@pytest.mark.parametrize("process", [("--appendonly", "no")], indirect=True)
def test_serve_says_it_in_one_line_each_and_refuses_or_starts(process: Process, tmp_path: Path):
    with process.client() as client:
        api = Program(tmp_path / "log", "-m", "cli.main", "serve", "--port", "0", REDIS_URL=process.url)
        api.wait_for(r"serves (http\S+),")
        api.stop()
        assert len(re.findall("keeps no append-only file", api.said)) == 1
        client.config_set("maxmemory", "1gb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    for command in ("serve", "worker"):
        refused = Program(tmp_path / "log", "-m", "cli.main", command, REDIS_URL=process.url, MLXQ_PORT="0")
        assert refused.process.wait(PATIENCE_S) == 78
        assert re.fullmatch(
            r"mlxq: Redis cannot be used: its maxmemory-policy allkeys-lru .*\n", refused.said
        )


async def test_a_user_with_the_rights_that_the_docs_list_can_do_everything(guarded: RedisServer):
    rules = (ROOT / "docs" / "operations.md").read_text()
    assert ACL_RULES in rules
    with connect(guarded.url) as client:
        client.execute_command("ACL", "SETUSER", "mlxq", "on", f">{PASSWORD}", *ACL_RULES.split())
        client.acl_log_reset()
        url = guarded.url.replace("unix://", f"unix://mlxq:{PASSWORD}@")
        assert await ask(url) == (None, ())
        with running_worker(url, FakeRunner()):
            async with open_queue(url) as queue:
                assert vectors(await run(queue, "a")) == [expected_vector("a")]
                large = [f"text {number}" for number in range(6000)]
                assert len(vectors(await run(queue, *large))) == 6000
                assert (await queue.stats()).workers
        assert client.acl_log() == []


@pytest.mark.parametrize(
    ("without", "named"),
    [
        (["-subscribe"], "subscribe mlxq:reply:probe"),
        (["-xadd"], "xadd rq:probe, xadd mlxq:probe"),
        (["-info"], "info"),
        (["resetchannels", "&mlxq:*"], "publish rq:pubsub:probe"),
        (["resetkeys", "~mlxq:*"], "blpop rq:probe, copy rq:probe, del rq:probe and"),
    ],
)
async def test_a_right_that_is_missing_is_named(without: list[str], named: str, guarded: RedisServer):
    """On Redis 7 and Valkey."""
    with connect(guarded.url) as client:
        rules = [*ACL_RULES.split(), *without]
        client.execute_command("ACL", "SETUSER", "poor", "reset", "on", f">{PASSWORD}", *rules)
    cause, _ = await ask(guarded.url.replace("unix://", f"unix://poor:{quote(PASSWORD)}@"))
    assert cause is not None
    assert cause.startswith("its user may not do what mlxq needs")
    assert named in cause


def _takes(client: redis.Redis, number: int) -> bool:
    """Whether Redis takes another MiB."""
    try:
        return bool(client.set(f"rq:{number}", b"\0" * 1024**2))
    except OutOfMemoryError:
        return False


def test_our_own_redis_has_a_bound_for_its_memory_and_refuses_at_it(tmp_path: Path):
    server = own_server(Settings(data=tmp_path, redis_bytes=64 * 1024**2))
    assert server is not None
    with server, connect(server.url) as client:
        wanted = 100
        taken = sum(_takes(client, number) for number in range(wanted))
        assert 32 < taken < 64
    server = own_server(Settings(data=tmp_path / "share"))
    assert server is not None
    with server, connect(server.url) as client:
        found = int(client.config_get("maxmemory")["maxmemory"] or 0)
    assert 0 < found <= psutil.virtual_memory().total // 4
