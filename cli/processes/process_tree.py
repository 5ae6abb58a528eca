"""Runs supervised children together until Ctrl-C, then stops them in order."""

import asyncio
import logging
import signal
from collections.abc import Coroutine, Sequence
from typing import Any

from jobs.process.cancelling import cancel_and_wait
from workers.supervisor import Supervisor

log = logging.getLogger(__name__)


async def run_tree(stages: Sequence[Sequence[Supervisor]], beside: Coroutine[Any, Any, None]) -> int:
    """Returns when everything has ended: 0 after a signal, else the exit code of the child that cannot run.

    stages: started together, stopped one stage after the other. beside: runs meanwhile, cancelled at the end.
    The first signal (Ctrl-C, SIGTERM, SIGHUP) stops, a second one kills.
    """
    supervisors = [supervisor for stage in stages for supervisor in stage]
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            for supervisor in supervisors:
                supervisor.kill()
        asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)

    running = {supervisor: asyncio.create_task(supervisor.run()) for supervisor in supervisors}
    waiting = asyncio.create_task(asked.wait())
    companion = asyncio.create_task(beside)
    companion.add_done_callback(_report)
    try:
        await asyncio.wait([waiting, *running.values()], return_when=asyncio.FIRST_COMPLETED)
        companion.cancel()
        for stage in stages:
            for supervisor in stage:
                supervisor.stop()
            await asyncio.gather(*(running[supervisor] for supervisor in stage))
    finally:
        await cancel_and_wait(waiting, companion)
    return max(task.result() for task in running.values())


def _report(companion: asyncio.Task[None]) -> None:
    if not companion.cancelled() and (error := companion.exception()):
        log.error("a background task ended", exc_info=error)
