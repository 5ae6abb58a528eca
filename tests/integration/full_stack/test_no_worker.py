"""Workers that die, and callers who wait for them: the jobs go back at once, and nobody waits for a worker that is not
there.
"""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.store import keys
from tests.checkpoints.rerankers import make
from tests.integration.full_stack.test_stopping import OPENAI, OTHERS, Call, message_of, post
from tests.support.folders import TINY_CHAT
from tests.support.stack import MODEL, Stack
from tests.support.waiting import wait_until

LONG_WORK = [f"{n} " + "a long walk along the river and over the hills " * 8 for n in range(80)]
KEYED = Call("/v1/embeddings", {"model": MODEL, "input": "kept"}, {"Idempotency-Key": "kept"})


def test_a_caller_whose_worker_is_killed_does_not_wait_for_the_lease(tmp_path: Path):
    with Stack(tmp_path, lease_s=3600) as stack, ThreadPoolExecutor() as pool:
        waiting = pool.submit(stack.embed, LONG_WORK)
        wait_until(lambda: stack.newest_job("started"))
        stack.kill_worker()

        reply = waiting.result()  # its own limit is three minutes, the lease an hour

        assert reply.status_code == 200, reply.text
        assert len(reply.json()["data"]) == len(LONG_WORK)
        job = stack.newest_job("finished")
        assert job is not None and job["attempts"] == 2
        assert stack.redis.hget(keys.job(job["id"]), "mlxq_crashes") == b"1"
        stack.worker.wait_for("jobs of a dead worker go back requeued=1 failed=0")


@pytest.fixture(scope="module")
def deserted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose worker is dead, and whose supervisor is frozen, so that there will be no other."""
    folder = tmp_path_factory.mktemp("stack")
    ranker = make("bert", folder / "ranker")
    with Stack(folder, MODEL, f"tiny-chat={TINY_CHAT}", str(ranker), lease_s=2, worker_wait_s=1.5) as stack:
        stack.worker.process.send_signal(signal.SIGSTOP)
        stack.kill_worker()
        wait_until(lambda: stack.status("/ready") == 503)
        yield stack


def test_without_a_worker_every_dialect_answers_503_and_asynchronous_work_is_taken(deserted: Stack):
    calls = OPENAI | OTHERS | {"keyed": KEYED}
    with ThreadPoolExecutor(len(calls)) as pool:
        replies = {name: pool.submit(post, deserted.url, call) for name, call in calls.items()}
        for name, waiting in replies.items():
            reply = waiting.result()
            assert reply.status_code == 503, (name, reply.text)
            assert int(reply.headers["retry-after"]) >= 1, name
            assert "No worker has served" in message_of(name, reply), name

    accepted = deserted.embed("later", prefer="respond-async")
    assert accepted.status_code == 202
    waits = deserted.job(accepted.json()["id"], wait=0.1)
    assert waits["status"] == "queued"

    canceled = deserted.http.get(
        f"{deserted.url}/v1/jobs", params={"status": "canceled", "limit": 100}
    ).json()
    assert len(canceled["data"]) == len(calls) + 1 - 2  # one call is two jobs; two are keyed

    deserted.worker.process.send_signal(signal.SIGCONT)
    wait_until(lambda: deserted.status("/ready") == 200)
    assert deserted.job(accepted.json()["id"], wait=60)["status"] == "finished"
    assert post(deserted.url, KEYED).status_code == 200
