"""What is wrong with Redis is named, at once, once, and without secrets; with real servers of the wrong kind."""

import asyncio
import contextlib
import logging
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import redis

from jobs.client import watch
from jobs.client.queue import JobQueue
from jobs.embed import EmbedJob
from jobs.errors import QueueUnavailable
from jobs.job import SubmitOptions
from jobs.settings import Settings
from jobs.store import outage, probe
from jobs.store.connection import connect, connect_async, impatient
from jobs.store.probe import SECOND_LOOK_S, Probe, RedisUnusable
from jobs.store.record import PART_BYTES
from jobs.store.redis_server import RedisServer
from tests.support.fake_runner import FakeRunner
from tests.support.redis_servers.append_only_file import full_disk
from tests.support.redis_servers.forwarder import forwarding
from tests.support.running_worker import job as embed_job
from tests.support.running_worker import open_queue, running_worker
from tests.support.running_worker import run as run_job
from tests.support.stack import MODEL, ROOT, Program, Stack
from tests.support.waiting import PATIENCE_S, until, until_async, wait_until, within
from tests.support.web import certificate

USER, PASSWORD = "canary", "sparrow#@/:finch"
BIRDS = ("canary", "sparrow", "finch")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a real Redis that wants a password, and of which USER may do nothing but ask."""
    with RedisServer(tmp_path_factory.mktemp("guarded") / "redis") as server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with connect(server.url) as client:
            client.config_set("port", port)
            client.acl_setuser(USER, enabled=True, passwords=[f"+{PASSWORD}"], commands=["+ping", "+hello"])
            client.acl_setuser(
                "whole", enabled=True, passwords=[f"+{PASSWORD}"], commands=["+@all"], keys="*", channels="*"
            )
            client.acl_setuser(
                "deaf",
                enabled=True,
                passwords=[f"+{PASSWORD}"],
                commands=["+@all"],
                keys="*",
                reset_channels=True,
            )
            client.config_set("requirepass", PASSWORD)
        yield f"127.0.0.1:{port}"


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def server_of(answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """Gives one connection after the other to `answer`, and closes it then."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client, contextlib.suppress(OSError):
                    answer(client)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def saying_server(reply: bytes) -> AbstractContextManager[str]:
    """Answers whatever comes with this."""

    def answer(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(reply)

    return server_of(answer)


def tls_server(folder: Path) -> AbstractContextManager[str]:
    """Ends a connection once it is encrypted and something has come."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate("localhost", folder))

    def answer(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as wrapped:
            wrapped.recv(1)

    return server_of(answer)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch):
    """A loaded machine takes longer for what takes milliseconds; how long a probe may take is looked at by itself."""
    monkeypatch.setattr(probe, "SECOND_LOOK_S", 3)


async def cause_of(url: str, within_s: float = PATIENCE_S) -> str:
    async with connect_async(url) as client:
        asking = Probe(client)
        try:
            with pytest.raises(RedisUnusable) as found:
                await asking.ask(lambda: asyncio.sleep(0), within_s)
        finally:
            await asking.aclose()
    return found.value.cause


def test_a_probe_is_over_in_less_than_two_seconds():
    assert probe.ANSWER_S + SECOND_LOOK_S < 2


async def test_each_cause_is_named(guarded: str, tmp_path: Path):
    with silent_server() as silent, tls_server(tmp_path) as tls:
        causes = {
            f"redis://{silent}": "it does not answer",
            f"rediss://{silent}": "it does not answer",
            f"redis://{tls}": "TLS mismatch: the port speaks TLS, use rediss://",
            f"rediss://{tls}": "its certificate is not trusted",
            f"rediss://{guarded}": "TLS mismatch: the port speaks no TLS, use redis://",
            f"redis://{guarded}": "it asks for a password and none was given",
            f"redis://:wrong@{guarded}": "wrong user name or password",
            f"redis://{USER}:{quote(PASSWORD, safe='')}@{guarded}": "its user may not do what mlxq needs",
            f"redis://deaf:{quote(PASSWORD, safe='')}@{guarded}": "its user may not do what mlxq needs (publish "
            "mlxq:reply:probe, publish rq:pubsub:probe, subscribe mlxq:reply:probe)",
            f"unix://{tmp_path}/none": "not reachable: no such socket",
        }
        silences = (f"redis://{silent}", f"rediss://{silent}", f"rediss://{guarded}")
        found = {url: await cause_of(url, 1 if url in silences else PATIENCE_S) for url in causes}
        assert found == causes
    assert await cause_of(f"redis://{silent}") == "not reachable: connection refused"


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", "it is loading its data"),
        (b"-MISCONF Errors writing to the AOF file: No space left on device\r\n", "disk full"),
        (
            b"-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'canary'\r\n",
            "it refuses a command",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not reachable"),
    ],
)
async def test_what_others_answer_is_understood(reply: bytes, cause: str):
    with saying_server(reply) as address:
        assert await cause_of(f"redis://{address}") == cause


async def test_what_redis_py_cannot_read_is_no_redis():
    with saying_server(b"+OK\r\n") as address:  # where it expects a table
        assert await cause_of(f"redis://:password@{address}") == "not reachable"


async def test_a_user_who_may_not_listen_is_one_line_in_the_log(
    guarded: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watch, "LOOK_S", 0.05)
    monkeypatch.setattr(outage, "LATE_S", 0)
    caplog.set_level(logging.INFO)
    looks = 0

    async def look(self: watch.Watch) -> None:
        nonlocal looks
        looks += 1
        await original(self)

    original = watch.Watch._look
    monkeypatch.setattr(watch.Watch, "_look", look)
    queue = JobQueue(connect_async(f"redis://deaf:{quote(PASSWORD, safe='')}@{guarded}"), Settings())
    await queue.start()
    try:
        with pytest.raises(QueueUnavailable, match="its user may not do what mlxq needs"):
            await within(queue.ready())
        await until(lambda: looks > 20)
    finally:
        await queue.aclose()
    assert [each.message for each in caplog.records if "Redis" in each.message] == [
        "Redis cannot be used: its user may not do what mlxq needs"
    ]


async def test_a_replica_and_a_full_memory_are_named(tmp_path: Path):
    with RedisServer(tmp_path / "redis") as server, connect(server.url) as client:
        client.config_set("maxmemory", "1")
        assert await cause_of(server.url) == "its memory is full"
        client.config_set("maxmemory", "0")
        client.replicaof("127.0.0.1", 1)
        assert await cause_of(server.url) == "read-only replica"


async def test_a_probe_changes_nothing_and_takes_no_one_elses_patience(
    redis_server: RedisServer, redis_client: redis.Redis
):
    async with connect_async(redis_server.url) as client:
        asking = Probe(client)
        await asking.ask(lambda: asyncio.sleep(0), PATIENCE_S)
        await asking.aclose()
        assert redis_client.dbsize() == 0
        assert client.connection_pool.connection_kwargs["socket_timeout"] == 10
        assert impatient(client, 1).connection_pool.connection_kwargs["socket_timeout"] == 1


async def test_a_silent_redis_is_named_and_then_nobody_waits_for_it(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watch, "PATIENCE_S", 0.5)
    caplog.set_level(logging.INFO)
    with silent_server() as silent:
        queue = JobQueue(connect_async(f"redis://{silent}"), Settings())
        await queue.start()
        try:
            with pytest.raises(QueueUnavailable, match="it does not answer"):
                await within(queue.ready())

            async def told_at_once() -> bool:
                try:
                    async with asyncio.timeout(2):
                        await queue.models()
                except QueueUnavailable as error:
                    return "it does not answer" in error.message
                except TimeoutError:
                    return False  # one that began before it was known
                raise AssertionError

            await until_async(told_at_once)
        finally:
            await queue.aclose()
    assert caplog.text.count("Redis cannot be used") == 1


async def test_who_asks_a_silent_redis_is_answered_once_that_is_known(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, "PATIENCE_S", 0.2)
    monkeypatch.setattr(probe, "SECOND_LOOK_S", 0.1)
    with silent_server() as silent:
        client = connect_async(f"redis://{silent}")
        client.connection_pool.connection_kwargs["socket_timeout"] = None  # only the queue can end a command
        queue = JobQueue(client, Settings())
        await queue.start()
        large = EmbedJob(model="m", inputs=(random.Random(1).randbytes(2 * PART_BYTES).hex(),))
        options = SubmitOptions(idempotency_key="k")
        try:
            asked = (
                queue.models(),
                queue.stats(),
                queue.view("a"),
                queue.cancel("a"),
                queue.wait("a", 1000),
                anext(queue.stream("a")),
                queue.submit(EmbedJob(model="m", inputs=("a",)), options),
                queue._admit("a", "embed:m:default", large, options, ""),
                queue._admit("b", "embed:m:default", large, options, ""),
            )
            told = await within(asyncio.gather(*asked, return_exceptions=True))
        finally:
            await queue.aclose()
    assert {repr(each) for each in told} == {
        "QueueUnavailable('Redis cannot be used (it does not answer). Try again in a moment.')"
    }


def ready(url: str) -> str:
    try:
        return httpx.get(f"{url}/ready", timeout=20).json().get("reason", "")
    except httpx.TransportError:
        return ""


def test_ready_names_the_cause_in_a_real_process(tmp_path: Path, guarded: str):
    """Where serve would not start with a wrong password: it was changed later."""
    with silent_server() as silent:
        api = Program(
            tmp_path / "log", "-m", "cli.main", "serve", "--port", "0", REDIS_URL=f"redis://{silent}"
        )
        try:
            url = api.wait_for(r"serves (http\S+),")[1]
            wait_until(lambda: ready(url) == "Redis cannot be used: it does not answer.")
            assert httpx.get(f"{url}/health", timeout=20).status_code == 200
        finally:
            api.stop()
        assert "Traceback" not in api.said


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "MLXQ_REDIS_URL")}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("command", ["up", "serve", "worker"])
@pytest.mark.parametrize(
    "user",
    ["", f"{USER}:wrong@", f"{USER}:{quote(PASSWORD, safe='')}@", f"deaf:{quote(PASSWORD, safe='')}@"],
)
def test_a_refused_user_ends_the_start_at_once_with_one_line(
    command: str, user: str, guarded: str, tmp_path: Path
):
    ended = run(command, "--data", str(tmp_path), REDIS_URL=f"redis://{user}{guarded}", MLXQ_PORT="0")

    assert ended.returncode == 78, ended
    assert ended.stdout == ""
    assert re.fullmatch(r"mlxq: Redis cannot be used: .*\n", ended.stderr), ended.stderr
    assert ("password" if "finch" not in user else "may not do") in ended.stderr
    assert not [bird for bird in BIRDS if bird in ended.stderr]


@pytest.mark.parametrize("nasty", ["#", "@/", "[", "\u2100"])
def test_no_process_says_any_part_of_a_password(nasty: str, guarded: str, tmp_path: Path):
    url = f"redis://canary:sparrow{nasty}finch@{guarded}"
    for arguments, code in (
        (("serve",), 2),
        (("worker", "--redis", url), 2),
        (("up", "--redis-url", url), 2),  # there is no such option
    ):
        ended = run(*arguments, REDIS_URL=url, MLXQ_PORT="0", MLXQ_DATA=str(tmp_path))
        said = ended.stdout + ended.stderr
        assert not [bird for bird in BIRDS if bird in said], (arguments, said)
        assert "Traceback" not in said
        assert ended.returncode == code
        assert "percent-encode" in said or "--redis-url" in said


def test_the_settings_show_no_password():
    said = run("settings", REDIS_URL="redis://canary:sparrow@host").stdout
    assert "REDIS_URL" in said
    assert not [bird for bird in BIRDS if bird in said]
    assert not [bird for bird in BIRDS if bird in repr(Settings(redis_url="redis://canary:sparrow@host"))]


def test_a_running_service_says_no_part_of_its_password(guarded: str, tmp_path: Path):
    """While it works, while Redis is silent to it, and when the password is changed under it."""
    url = f"redis://whole:{quote(PASSWORD, safe='')}@{guarded}"
    api = Program(
        tmp_path / "log", "-m", "cli.main", "serve", "--port", "0", REDIS_URL=url, MLXQ_LOG_LEVEL="DEBUG"
    )
    try:
        here = api.wait_for(r"serves (http\S+),")[1]
        wait_until(lambda: ready(here) == "No live worker.")
        with connect(url) as client:
            client.acl_setuser(
                "whole",
                reset_passwords=True,
                passwords=["+another"],
                enabled=True,
                keys="*",
                channels="*",
                commands=["+@all"],
            )
            for each in client.client_list():
                if each["id"] != str(client.client_id()):
                    client.client_kill_filter(_id=each["id"])
        wait_until(lambda: "wrong user name or password" in ready(here))
        api.wait_for("Redis cannot be used: wrong user name or password")
        with connect(f"redis://whole:another@{guarded}") as client:
            client.acl_setuser(
                "whole",
                reset_passwords=True,
                passwords=[f"+{PASSWORD}"],
                enabled=True,
                keys="*",
                channels="*",
                commands=["+@all"],
            )
        api.wait_for("Redis can be used again")
    finally:
        api.stop()
    assert not [bird for bird in BIRDS if bird in api.said], api.said
    assert api.said.count("Redis cannot be used") == 1


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path, worker_wait_s=3) as stack:
        yield stack


def test_a_full_disk_is_named_once_and_when_there_is_room_everything_works_again(
    stack: Stack, tmp_path: Path
):
    api = stack.run("serve", "--port", "0", "--data", str(tmp_path))  # knows the folder of its Redis
    url = api.wait_for(r"serves (http\S+),")[1]
    with full_disk(stack.redis, tmp_path / "redis" / "appendonlydir"):
        wait_until(lambda: ready(url) == f"Redis cannot be used: disk full: {tmp_path / 'redis'}.")
        reply = httpx.post(f"{url}/v1/embeddings", json={"model": MODEL, "input": "a"}, timeout=60)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert "disk full" in reply.text
        assert str(tmp_path) not in reply.text  # folders are for operators
        stack.worker.wait_for("Redis cannot be used: ")

    wait_until(lambda: ready(url) == "")
    wait_until(lambda: stack.embed("again").status_code == 200)
    for program in (api, stack.worker):
        program.wait_for("Redis can be used again")
        assert program.said.count("Redis cannot be used") == 1, program.said
    assert stack.worker.said.count("a process ended") == 0  # the worker lived through it


def test_redis_away_is_one_line_when_it_goes_and_one_when_it_is_back(stack: Stack):
    stack.server.kill()
    for program in (stack.api, stack.worker):
        program.wait_for("Redis cannot be used: not reachable")
    wait_until(lambda: ready(stack.url).startswith("Redis cannot be used: not reachable"))
    stack.server.start()
    wait_until(lambda: stack.status("/ready") == 200)
    for program in (stack.api, stack.worker):
        program.wait_for("Redis can be used again")
        lines = [
            line
            for line in program.said.splitlines()
            if "Redis" in line and ("ERROR" in line or "WARN" in line)
        ]
        assert len(lines) == 2, program.said
        assert "Traceback" not in program.said


@pytest.mark.parametrize("command", ["up", "serve", "worker"])
def test_ctrl_c_while_redis_is_away_leaves_no_traceback(command: str, tmp_path: Path):
    program = Program(
        tmp_path / "log", "-m", "cli.main", command, REDIS_URL=f"unix://{tmp_path}/none", MLXQ_PORT="0"
    )
    try:
        program.wait_for("Redis cannot be used: not reachable: no such socket")
        if command != "serve":
            program.wait_for(
                "Redis cannot be used.*no such socket[\\s\\S]*Redis cannot be used.*no such socket"
            )
        program.process.send_signal(signal.SIGINT)
        assert program.process.wait(60) in (0, 130)
    finally:
        program.stop()
    assert "Traceback" not in program.said


async def test_a_black_hole_is_told_within_seconds_and_left_as_soon_as_it_is_none(tmp_path: Path):
    """Bytes go in and none come back, and no connection ends: a broken firewall, a machine without power."""
    with (
        RedisServer(tmp_path / "redis") as server,
        forwarding(tmp_path / "redis" / "redis.sock") as way,
        running_worker(server.url, FakeRunner()),
    ):
        async with open_queue(f"redis://127.0.0.1:{way.port}") as queue:
            await until_async(lambda: answers(queue))
            way.swallows = True
            began_at = time.monotonic()
            with pytest.raises(QueueUnavailable, match="it does not answer"):
                await within(queue.submit(embed_job("a"), SubmitOptions()))
            assert time.monotonic() - began_at < 10  # it is 5.4 s without a busy machine
            with pytest.raises(QueueUnavailable, match="it does not answer"):
                await within(queue.submit(embed_job("a"), SubmitOptions()), 4)  # at once
            way.swallows = False
            await until_async(lambda: answers(queue))


async def answers(queue: JobQueue) -> bool:
    try:
        return bool(await within(run_job(queue, "a")))
    except QueueUnavailable:
        return False
