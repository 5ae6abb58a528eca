"""The models in memory, on a fake runner."""

import time

from tests.support.fake_runner import FakeRunner
from workers.models.model_cache import ModelCache, preloaded

LOAD_S = 0.03


class SlowToLoad(FakeRunner):
    def load(self):
        time.sleep(LOAD_S)
        yield


def loaded_now() -> ModelCache:
    return preloaded({"m": SlowToLoad("m")})


def test_a_job_waited_for_the_load_from_its_own_submission_on():
    before = time.time()
    cache = loaded_now()
    whole_s = cache.load_wait_s("m", before)
    assert LOAD_S <= whole_s <= time.time() - before
    assert cache.load_wait_s("m", before + LOAD_S / 2) < whole_s


def test_a_job_that_was_there_long_before_waited_no_longer_than_the_load_took():
    cache = loaded_now()
    assert LOAD_S <= cache.load_wait_s("m", 0) < 1000


def test_a_job_that_came_after_the_load_did_not_wait_for_it():
    cache = loaded_now()
    assert cache.load_wait_s("m", time.time()) == 0
    assert cache.load_wait_s("another", time.time()) == 0
