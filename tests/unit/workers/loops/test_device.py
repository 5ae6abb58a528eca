"""The device loop on a fake device that notes what is started and what is waited for."""

import threading
from collections.abc import Callable, Sequence

import pytest

from jobs.embed import EmbedJob
from jobs.errors import JobError
from jobs.job import Lane
from tests.support.fake_runner import FakeItem, FakeRunner
from workers.loops.decode import Decoding
from workers.loops.device import DeviceLoop
from workers.loops.watchdog import Progress
from workers.models.model_cache import resident
from workers.queue.client import Claim
from workers.scheduling.in_flight import Hand, Held
from workers.scheduling.packing import BatchLimits
from workers.scheduling.token_budget import Pace

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


def run(texts: list[str], depth: int) -> tuple[NotingRunner, list[Held]]:
    runner, hand, complete = NotingRunner(), Hand({"m": LIMITS}, starvation_s=5), list[Held]()
    for n, text in enumerate(texts):
        claim = Claim(f"j{n}", "x", f"embed:m:{Lane.DEFAULT}", b"", 60, 60, False, 0, (), 1, False)
        (held,) = hand.hold([claim])
        held.job = EmbedJob(model="m", inputs=(text,))
        hand.offer(held, [FakeItem(text, 1)])
    done = threading.Event()

    def note(held: Held) -> None:
        complete.append(held)
        if len(complete) == len(texts):
            loop.stop()
            done.set()

    no_answers = Decoding(hand, {}, lambda _: None, lambda *_: None)
    loop = DeviceLoop(
        hand,
        {"m": runner},
        Progress(),
        note,
        no_answers,
        Pace(["m"], 0.05),
        resident({"m": runner}),
        batch_timeout_s=60,
        depth=depth,
    )
    thread = threading.Thread(target=loop.run)
    thread.start()
    assert done.wait(60)
    thread.join(60)
    return runner, complete


def test_with_depth_two_the_next_batch_is_started_before_the_last_is_waited_for():
    runner, complete = run(["a", "b", "c"], depth=2)
    assert runner.notes == ["start a", "start b", "wait a", "start c", "wait b", "wait c"]
    assert [held.claim.id for held in complete] == ["j0", "j1", "j2"]


def test_with_depth_one_each_batch_ends_before_the_next_starts():
    runner, _ = run(["a", "b"], depth=1)
    assert runner.notes == ["start a", "wait a", "start b", "wait b"]


@pytest.mark.parametrize("bad", ["raise", "unstartable"])
def test_a_batch_that_breaks_behind_another_fails_alone(bad: str):
    _, complete = run(["a", bad, "b"], depth=2)
    failed = [held.claim.id for held in complete if isinstance(held.outcomes[0], JobError)]
    assert failed == ["j1"]
