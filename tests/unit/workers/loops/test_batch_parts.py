from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from jobs.errors import InternalError, InvalidInput, JobError
from workers.loops.batch_parts import is_out_of_memory, padded_tokens, run_in_parts


class Item(NamedTuple):
    name: int
    length: int = 1


def never(items: Sequence[Item]) -> int:
    raise AssertionError("this is no question of memory")


def run(attempt: Callable[[Sequence[Item]], Sequence[int]], items: Sequence[Item]) -> list[int | JobError]:
    return run_in_parts(attempt, items, on_no_memory=never)


EIGHT = [Item(n) for n in range(8)]


@pytest.mark.parametrize("bad", [{3}, {0, 7}, set(range(8))])
def test_items_that_break_a_batch_fail_alone(bad: set[int]):
    def attempt(items: Sequence[Item]) -> list[int]:
        if bad & {item.name for item in items}:
            raise RuntimeError("device breaks")
        return [item.name * 10 for item in items]

    for item, outcome in enumerate(run(attempt, EIGHT)):
        if item in bad:
            assert isinstance(outcome, JobError)
        else:
            assert outcome == item * 10


def test_the_cause_of_a_failure_is_kept_for_the_log():
    def attempt(items: Sequence[Item]) -> list[int]:
        raise RuntimeError("device breaks")

    (outcome,) = run(attempt, EIGHT[:1])
    assert isinstance(outcome, InternalError)
    assert isinstance(outcome.__cause__, RuntimeError)


def test_a_runner_that_loses_an_outcome_fails_instead_of_shifting_results():
    def attempt(items: Sequence[Item]) -> list[int]:
        return [item.name for item in items][: 1 if len(items) == 1 else -1]

    assert run(attempt, EIGHT) == list(range(8))


class SmallDevice:
    """Has memory for so many padded tokens. Its owner halves batches that are too large."""

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.most = 1 << 30
        self.failed: list[int] = []

    def attempt(self, items: Sequence[Item]) -> list[int]:
        tokens = padded_tokens(items)
        if tokens > self.memory:
            self.failed.append(tokens)
            raise RuntimeError("[metal::malloc] Attempting to allocate 1 bytes which is greater than …")
        assert tokens <= self.most or len(items) == 1
        return [item.name for item in items]

    def make_room(self, items: Sequence[Item]) -> int:
        self.most = min(self.most, padded_tokens(items) // 2)
        return self.most


def test_a_batch_that_the_memory_does_not_hold_teaches_the_size_of_its_parts():
    device = SmallDevice(memory=10)
    items = [Item(n, 1 + n // 64) for n in range(128)]
    assert run_in_parts(device.attempt, items, on_no_memory=device.make_room) == list(range(128))
    assert device.failed == [256, 64, 32, 16]  # nothing is tried twice


def test_an_item_that_the_memory_does_not_hold_alone_is_tried_twice_and_fails_alone():
    device = SmallDevice(memory=10)
    items = [Item(0, 2), Item(1, 2), Item(2, 11)]
    found = run_in_parts(device.attempt, items, on_no_memory=device.make_room)
    assert found[:2] == [0, 1]
    assert isinstance(found[2], InternalError)
    assert "memory" in found[2].message
    assert device.failed == [33, 11, 11]


def test_an_item_at_fault_is_found_among_parts_that_are_small_for_want_of_memory():
    device = SmallDevice(memory=4)

    def attempt(items: Sequence[Item]) -> list[int]:
        found = device.attempt(items)
        if 5 in found:
            raise RuntimeError("device breaks")
        return found

    found = run_in_parts(attempt, EIGHT, on_no_memory=device.make_room)
    assert [n for n, outcome in enumerate(found) if isinstance(outcome, JobError)] == [5]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("std::bad_alloc"),
        RuntimeError("[malloc] Unable to allocate 1073741824 bytes."),
        RuntimeError(
            "[metal::malloc] Attempting to allocate 2 bytes which is greater than the maximum allowed buffer size."
        ),
        RuntimeError(
            "[METAL] Command buffer execution failed: Insufficient Memory "
            "(00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)."
        ),
        RuntimeError("cudaMallocAsync(&buf->data, size, stream) failed: out of memory"),
        RuntimeError("cublasLtMatmul failed: CUBLAS_STATUS_ALLOC_FAILED"),
    ],
    ids=lambda error: str(error)[:24],
)
def test_what_devices_say_of_too_little_memory_is_known(error: Exception):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[matmul] Last dimension of first input must match …"),
        ValueError("out of memory"),
        InvalidInput("The document speaks of a [malloc] out of memory."),
    ],
    ids=["a shape", "another type", "a caller's words"],
)
def test_other_errors_are_no_question_of_memory(error: Exception):
    assert not is_out_of_memory(error)
