"""The store's one thread."""

import asyncio
import threading

import pytest

from ingest.store.turns import SEARCH, WRITE, Turns


async def test_who_searches_goes_before_who_writes():
    turns, order, gate = Turns(), list[str](), threading.Event()
    blocking = asyncio.create_task(turns.run(gate.wait, WRITE))
    await asyncio.sleep(0)
    names = (("w1", WRITE), ("w2", WRITE), ("s1", SEARCH), ("s2", SEARCH))
    waiting = [
        asyncio.create_task(turns.run(lambda name=name: order.append(name), priority))
        for name, priority in names
    ]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(blocking, *waiting)
    turns.end()
    assert order == ["s1", "s2", "w1", "w2"]


async def test_what_a_call_raises_reaches_its_caller_and_the_thread_goes_on():
    turns = Turns()
    with pytest.raises(ZeroDivisionError):
        await turns.run(lambda: 1 // 0, SEARCH)
    assert await turns.run(lambda: 5, SEARCH) == 5
    turns.end()


async def test_a_caller_that_leaves_does_not_stop_the_call():
    turns, gate, done = Turns(), threading.Event(), threading.Event()
    task = asyncio.create_task(turns.run(lambda: (gate.wait(), done.set()), WRITE))
    await asyncio.sleep(0)
    task.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await turns.run(lambda: None, WRITE)
    assert done.is_set()
    turns.end()
