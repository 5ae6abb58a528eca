"""The device loop on a fake device that notes what is started and what is waited for."""

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from jobs.errors import JobError
from jobs.types import EmbedJob, Lane
from tests.fake_runner import FakeItem, FakeRunner
from workers.batching import BatchLimits
from workers.decoding import Decoding
from workers.device import DeviceLoop
from workers.hand import Hand, Held
from workers.ledger import Claim
from workers.pace import Pace
from workers.progress import Progress
from workers.residents import resident

LIMITS = BatchLimits(tokens=10, items=1, padding=0, free_padding=0)


BATCH_S = 0.2


class NotingRunner(FakeRunner):
    """Its batches take BATCH_S from their start, if they are to take any time."""

    def __init__(self, *, is_slow: bool = False) -> None:
        super().__init__("m")
        self.notes: list[str] = []
        self._is_slow = is_slow

    def launch(self, items: Sequence[FakeItem]) -> Callable[[], Sequence[bytes | JobError]]:
        name = items[0].text
        self.notes.append(f"start {name}")
        ends = time.monotonic() + BATCH_S * self._is_slow
        if name == "unstartable":
            raise RuntimeError("no such shape")

        def wait() -> Sequence[bytes | JobError]:
            self.notes.append(f"wait {name}")
            time.sleep(max(0.0, ends - time.monotonic()))
            return self.run(items)

        return wait


def run(
    texts: list[str], depth: int, *, is_slow: bool = False, every_s: float = 0
) -> tuple[NotingRunner, list[Held]]:
    """every_s: between one text's coming and the next one's."""
    runner, complete = NotingRunner(is_slow=is_slow), list[Held]()
    hand = Hand({"m": LIMITS}, starvation_s=5)

    def offer() -> None:
        for n, text in enumerate(texts):
            claim = Claim(f"j{n}", "x", f"embed:m:{Lane.DEFAULT}", b"", 60, 60, False, 0, (), 1, False)
            (held,) = hand.hold([claim])
            held.job = EmbedJob(model="m", inputs=(text,))
            hand.offer(held, [FakeItem(text, 1)])
            time.sleep(every_s)

    if not every_s:
        offer()
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
    if every_s:
        offer()
    assert done.wait(10)
    thread.join(10)
    return runner, complete


def test_with_depth_two_the_next_batch_is_started_before_the_last_is_waited_for():
    runner, complete = run(["a", "b", "c"], depth=2)
    assert runner.notes == ["start a", "start b", "wait a", "start c", "wait b", "wait c"]
    assert [held.claim.id for held in complete] == ["j0", "j1", "j2"]


def test_with_depth_two_a_batch_whose_items_come_while_another_runs_is_started_before_that_one_ends():
    runner, _ = run(["a", "b", "c", "d"], depth=2, is_slow=True, every_s=0.6 * BATCH_S)
    # What a batch takes is known once "a" has ended, while "b" was waiting for it.
    assert runner.notes == [
        "start a",
        "wait a",
        "start b",
        "start c",
        "wait b",
        "start d",
        "wait c",
        "wait d",
    ]


def test_with_depth_one_each_batch_ends_before_the_next_starts():
    runner, _ = run(["a", "b"], depth=1)
    assert runner.notes == ["start a", "wait a", "start b", "wait b"]


@pytest.mark.parametrize("bad", ["raise", "unstartable"])
def test_a_batch_that_breaks_behind_another_fails_alone(bad: str):
    _, complete = run(["a", bad, "b"], depth=2)
    failed = [held.claim.id for held in complete if isinstance(held.outcomes[0], JobError)]
    assert failed == ["j1"]
