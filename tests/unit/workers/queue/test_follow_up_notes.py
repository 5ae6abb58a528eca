"""What Redis holds of an ended job's follow-ups."""

import fakeredis
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from jobs.store import keys
from workers.queue.client import WorkerQueue


class Cut(fakeredis.FakeRedis):
    """Loses its connection after the first command."""

    sent = 0

    def execute_command(self, *args: object, **options: object) -> object:
        self.sent += 1
        if self.sent > 1:
            raise RedisConnectionError
        return super().execute_command(*args, **options)


def test_no_number_of_tries_is_left_behind_when_the_connection_is_lost():
    server = fakeredis.FakeServer()
    redis = fakeredis.FakeRedis(server=server)
    worker_queue = WorkerQueue(redis, "w1", lease_s=10, max_crashes=3)
    redis.zadd(keys.FOLLOWUPS, {"id1": 0})
    assert worker_queue.take_followup(None) == ("id1", 1)
    cut = WorkerQueue(Cut(server=server), "w1", lease_s=10, max_crashes=3)
    try:
        cut.note_followed_up("id1")
    except RedisConnectionError:
        pytest.fail("the note is more than one step")
    assert not redis.exists(keys.FOLLOWUPS, keys.FOLLOWUP_TRIES)
