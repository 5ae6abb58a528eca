from types import SimpleNamespace
from typing import Any

from workers.loops.result import MAX_BYTES, in_parts
from workers.queue.execution import Outcome


def decided(size_bytes: int) -> Any:
    outcome = Outcome(None, "finished", 60, bytes(size_bytes))  # pyright: ignore[reportArgumentType]
    return SimpleNamespace(outcome=outcome)


def sizes(*given: int) -> list[list[int]]:
    parts: list[list[Any]] = [[*part] for part in in_parts([decided(each) for each in given])]
    return [[len(each.outcome.stored) for each in part] for part in parts]


def test_results_that_are_large_together_are_written_in_several_steps():
    half, most = MAX_BYTES // 2, MAX_BYTES
    assert sizes(half, half, 1, most, 5, half, half) == [[half, half], [1], [most], [5, half], [half]]


def test_small_results_are_written_together_and_nothing_is_written_for_none():
    assert sizes(*[100] * 256) == [[100] * 256]
    assert sizes() == []
