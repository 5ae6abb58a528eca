"""What is said when Redis cannot be used, and how often."""

import logging
import threading
from pathlib import Path

import pytest
from redis import exceptions

from jobs.store import outage
from jobs.store.outage import Outage, cause_of, is_defect, is_final, is_refused_write

SECRETS = "canary"


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (exceptions.AuthenticationError("Authentication required.", status_code="NOAUTH"), "asks for a password"),
        (exceptions.AuthenticationError("invalid pair canary", status_code="WRONGPASS"), "wrong user name or password"),
        (exceptions.NoPermissionError("User canary has no permissions"), "user may not"),
        (exceptions.BusyLoadingError("loading"), "loading its data"),
        (exceptions.ReadOnlyError("canary"), "read-only replica"),
        (exceptions.OutOfMemoryError("canary"), "memory is full"),
        (exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), "disk full"),
        (exceptions.ResponseError("ERR Error running script: -MISCONF canary: No space left on device"), "disk full"),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "cannot write to its disk"),
        (exceptions.ResponseError("ACL failure in script: User canary …", status_code="ERR"), "user may not"),
        (exceptions.ResponseError("The user executing the script can't run this command: canary"), "user may not"),
        (exceptions.ResponseError("BUSY Redis is busy running a script"), "a script of somebody else"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "too few replicas"),
        (exceptions.ResponseError("unknown command HELLO, with args: 3 AUTH alice canary"), "refuses a command"),
        (exceptions.ResponseError("DENIED Redis is running in protected mode"), "protected mode"),
        (exceptions.TimeoutError("Timeout reading from canary:6379"), "does not answer"),
        (chained(exceptions.ConnectionError("canary"), ConnectionRefusedError()), "connection refused"),
        (exceptions.ConnectionError("Connection closed by server."), "closes the connection"),
        (exceptions.ConnectionError("Error 99 connecting to canary"), "not reachable"),
        (exceptions.InvalidResponse("Protocol Error: b'canary'"), "not reachable"),
    ],
)  # fmt: skip
def test_each_cause_is_named_and_nothing_is_quoted(error: Exception, cause: str):
    assert cause in cause_of(error)
    assert SECRETS not in cause_of(error)


def test_only_a_refused_user_is_final_and_only_refused_writes_pass():
    wrong, full = exceptions.AuthenticationError(status_code="WRONGPASS"), exceptions.OutOfMemoryError()
    assert (is_final(wrong), is_final(full), is_final(exceptions.ConnectionError())) == (True, False, False)
    assert (is_refused_write(wrong), is_refused_write(full)) == (False, True)
    assert is_refused_write(
        exceptions.NoPermissionError("this user has no permissions", status_code="NOPERM")
    )
    assert not is_refused_write(exceptions.ResponseError("ERR no such thing", status_code="ERR"))


def test_a_reply_that_blames_neither_redis_nor_the_user_is_a_defect_of_the_command():
    assert is_defect(exceptions.ResponseError("WRONGTYPE Operation against a key", status_code="WRONGTYPE"))
    others = (
        exceptions.OutOfMemoryError(),
        exceptions.ResponseError("NOAUTH Authentication required"),
        exceptions.BusyLoadingError(),
        exceptions.ConnectionError(),
    )
    assert not any(map(is_defect, others))


def test_an_outage_lasts_while_a_write_waits_and_no_work_is_taken_meanwhile():
    state = Outage()
    with state.holding() as hold:
        assert not state.refuses_work
        hold.note(exceptions.TimeoutError())
        state.end()
        assert (state.cause, state.refuses_work) == ("it does not answer", True)
    state.end()
    assert (state.cause, state.refuses_work) == (None, False)


def test_what_waits_for_the_end_of_a_refusal_is_told_of_one_that_comes_back_at_once(
    caplog: pytest.LogCaptureFixture,
):
    state = Outage()
    state.note(exceptions.OutOfMemoryError())
    state.end()
    state.note(exceptions.OutOfMemoryError())

    assert state.refuses_work
    assert caplog.text.count("Redis cannot be used") == 1


def test_an_outage_that_came_back_at_once_and_stays_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    state = Outage()
    state.note(exceptions.OutOfMemoryError())
    state.end()
    state.note(exceptions.OutOfMemoryError())
    monkeypatch.setattr(outage, "LATE_S", 0)
    state.note(exceptions.OutOfMemoryError())

    assert caplog.text.count("Redis cannot be used") == 2


def test_an_outage_is_logged_when_it_begins_and_when_it_ends_however_many_threads_meet_it(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO)
    state = Outage()

    def meet() -> None:
        for _ in range(50):
            state.note(exceptions.TimeoutError("canary"))

    threads = [threading.Thread(target=meet) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state.end()
    state.end()
    state.note(exceptions.TimeoutError("late"))  # a call that began before the end

    assert [record.getMessage() for record in caplog.records] == [
        "Redis cannot be used: it does not answer",
        "Redis can be used again",
    ]


def test_the_next_outage_is_logged_too(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outage, "LATE_S", 0)
    state = Outage()
    for _ in range(2):
        state.note(exceptions.ReadOnlyError())
        state.end()

    assert caplog.text.count("read-only replica") == 2


def test_a_full_disk_of_our_own_redis_is_named_by_its_folder(caplog: pytest.LogCaptureFixture):
    Outage(Path("/data/redis")).note(exceptions.ResponseError("MISCONF Errors: No space left on device"))

    assert "disk full: /data/redis" in caplog.text
