"""The device loop on a fake device that notes what is started and what is waited for."""

import threading
from collections.abc import Callable, Sequence

import pytest

from jobs.embed import EmbedJob
from jobs.errors import JobError
from jobs.job import Lane
from tests.support.fake_runner import FakeItem, FakeRunner
from workers.loops.decode import DecodeBatch
from workers.loops.device import DeviceLoop
from workers.loops.result import ResultLoop
from workers.loops.watchdog import Watchdog
from workers.models.model_cache import preloaded
from workers.queue.execution import Claim
from workers.scheduling.active_job import ActiveJob, Prepared
from workers.scheduling.batch_sizes import BatchSizes
from workers.scheduling.in_flight import InFlight
from workers.scheduling.packing import BatchLimits
from workers.scheduling.token_budget import TokenBudget

LIMITS = BatchLimits(tokens=10, items=1, padding=0, free_padding=0)


class NotingRunner(FakeRunner):
    def __init__(self) -> None:
        super().__init__("m")
        self.notes: list[str] = []

    def launch(self, items: Sequence[FakeItem]) -> Callable[[], Sequence[bytes | JobError]]:
        name = items[0].text
        self.notes.append(f"start {name}")
        if name == "unstartable":
            raise RuntimeError("no such shape")

        def wait() -> Sequence[bytes | JobError]:
            self.notes.append(f"wait {name}")
            return self.run(items)

        return wait


class NotingResults(ResultLoop):
    """Has no Redis: it notes the complete jobs, and that all are there."""

    def __init__(self, expected: int) -> None:
        self.jobs: list[ActiveJob] = []
        self.all_there = threading.Event()
        self._expected = expected

    def complete(self, active: ActiveJob) -> None:
        self.jobs.append(active)
        if len(self.jobs) == self._expected:
            self.all_there.set()


def run(texts: list[str], depth: int) -> tuple[NotingRunner, list[ActiveJob]]:
    runner, in_flight, results = (
        NotingRunner(),
        InFlight({"m": LIMITS}, starvation_s=5),
        NotingResults(len(texts)),
    )
    for n, text in enumerate(texts):
        claim = Claim(f"j{n}", "x", f"embed:m:{Lane.DEFAULT}", b"", 60, 60, 0, (), 1, False)
        (active,) = in_flight.add([claim])
        job = EmbedJob(model="m", inputs=(text,))
        in_flight.make_ready(active, Prepared(job, [FakeItem(text, 1)], [None]))
    no_answers = DecodeBatch(in_flight, {}, lambda _: None, results)
    loop = DeviceLoop(
        in_flight,
        {"m": runner},
        Watchdog(),
        results,
        no_answers,
        TokenBudget(["m"], 0.05),
        BatchSizes({"m": LIMITS.tokens}),
        preloaded({"m": runner}),
        batch_timeout_s=60,
        depth=depth,
    )
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert results.all_there.wait(60)
    loop.stop()
    thread.join(60)
    return runner, results.jobs


def test_with_depth_two_the_next_batch_is_started_before_the_last_is_waited_for():
    runner, complete = run(["a", "b", "c"], depth=2)
    assert runner.notes == ["start a", "start b", "wait a", "start c", "wait b", "wait c"]
    assert [active.claim.id for active in complete] == ["j0", "j1", "j2"]


def test_with_depth_one_each_batch_ends_before_the_next_starts():
    runner, _ = run(["a", "b"], depth=1)
    assert runner.notes == ["start a", "wait a", "start b", "wait b"]


@pytest.mark.parametrize("bad", ["raise", "unstartable"])
def test_a_batch_that_breaks_behind_another_fails_alone(bad: str):
    _, complete = run(["a", bad, "b"], depth=2)
    failed = [
        active.claim.id
        for active in complete
        if active.prepared is not None and isinstance(active.prepared.outcomes[0], JobError)
    ]
    assert failed == ["j1"]
