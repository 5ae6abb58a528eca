"""Turns tokens into text, publishes it in streams, and hands complete answers on."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TypeVar

from msgspec.structs import replace
from redis.exceptions import RedisError

from jobs.generate import Piece, Pieces
from jobs.store import record
from workers.loops.decode import TokenEvent, answer_of
from workers.loops.result import ResultLoop
from workers.queue.client import WorkerQueue
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import Generator
from workers.runners.generate.write_down import write_down
from workers.scheduling.active_job import ActiveJob
from workers.scheduling.device_queue import QueuedItem
from workers.scheduling.in_flight import InFlight, Reason

log = logging.getLogger(__name__)

MAX_EVENTS = 256
"""Events in one EMIT: keeps the script near a millisecond."""

RETRY_S = 0.1

_T = TypeVar("_T")


@dataclass(slots=True)
class _Growth:
    """What the answers of one job grew by."""

    active: ActiveJob
    answers: dict[int, Answer] = field(default_factory=dict)
    """By their index in the job."""
    complete: list[QueuedItem] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)


class StreamLoop:
    """Runs in a thread of its own, until stopped and empty, so that the device never waits for Redis.

    Steps that pile up while an EMIT is under way share the next one.
    """

    def __init__(
        self,
        in_flight: InFlight,
        queue: WorkerQueue,
        generators: Mapping[str, Generator],
        result_loop: ResultLoop,
    ) -> None:
        self._in_flight = in_flight
        self._queue = queue
        self._generators = generators
        self._result_loop = result_loop
        self._steps: SimpleQueue[list[TokenEvent] | None] = SimpleQueue()
        self._stopping = False

    def publish(self, step: list[TokenEvent]) -> None:
        """Called by the device's thread with the tokens of one decode step."""
        self._steps.put(step)

    def stop(self) -> None:
        """Publish what is there, then end."""
        self._stopping = True
        self._steps.put(None)

    def run(self) -> None:
        while not self._stopping or not self._steps.empty():
            growths = self._growths(self._next_events())
            for growth in growths:
                self._take_pieces(growth)
            self._emit([each for each in growths if each.pieces and each.active.claim.streams])
            for growth in growths:
                if growth.complete:
                    self._hand_on(growth)

    def _next_events(self) -> list[TokenEvent]:
        """All tokens that wait; blocks until there are some."""
        events = list(self._steps.get() or ())
        while True:
            try:
                events += self._steps.get_nowait() or ()
            except Empty:
                return events

    def _growths(self, events: Sequence[TokenEvent]) -> list[_Growth]:
        """What the tokens add, by job."""
        found: dict[int, _Growth] = {}
        for queued, token, at in events:
            active = queued.active
            if not active.is_wanted:
                continue
            answer = answer_of(queued)
            if answer.is_complete and token is not None:
                continue
            growth = found.get(id(active)) or found.setdefault(id(active), _Growth(active))
            growth.answers[queued.item_index] = answer
            if token is not None:
                answer.note_token(at)
                write_down(answer, token, self._generators[active.model].logprobs_reader)
            if answer.is_complete:
                growth.complete.append(queued)
        return list(found.values())

    def _take_pieces(self, growth: _Growth) -> None:
        """What can be shown of the job's answers. Where it does not stream, they are asked at their end."""
        for answer in growth.answers.values():
            if growth.active.claim.streams or answer.is_complete:
                piece = answer.transcript.take()
                if piece is not None:
                    growth.pieces.append(piece)

    def _emit(self, growths: Sequence[_Growth]) -> None:
        for start in range(0, len(growths), MAX_EVENTS):
            part = growths[start : start + MAX_EVENTS]
            for each in part:
                each.active.events.append(record.pack(self._event(each)))
            by_member = {each.active.claim.member: each.active for each in part}
            events = [(active.claim, len(active.events), active.events[-1]) for active in by_member.values()]
            emitted = self._retry(lambda events=events: self._queue.emit(events))
            if emitted is None:
                continue
            for member, last in emitted.behind.items():
                # Redis has lost the end of its file: all of it is told again, under the same numbers.
                active = by_member[member]
                log.warning("events of a stream are lost and told again", extra={"job_id": active.claim.id})
                self._retry(
                    lambda active=active, last=last: self._queue.emit_after(active.claim, last, active.events)
                )
            if emitted.lost:
                gone = [by_member[member] for member in emitted.lost]
                self._in_flight.remove(gone, Reason.LEASE_LOST)

    def _retry(self, emit: Callable[[], _T]) -> _T | None:
        """Redis away: the words wait for it, and the answers go on. A worker that is to stop does not wait (None):
        what the log lacks then is added before the job is finished.
        """
        with self._queue.outage.holding() as hold:
            while True:
                try:
                    return emit()
                except RedisError as error:
                    if self._stopping:
                        return None
                    hold.note(error)
                    time.sleep(RETRY_S)

    def _hand_on(self, growth: _Growth) -> None:
        choices = [answer_of(queued).transcript.choice_so_far() for queued in growth.complete]
        for active in self._in_flight.record(growth.complete, choices):
            self._result_loop.complete(active)

    def _event(self, growth: _Growth) -> Pieces:
        active = growth.active
        assert active.prepared is not None, "an answer of it has run"
        answer = next(item for item in active.prepared.items if isinstance(item, Answer))
        pieces = Pieces(answer.prompt_tokens, answer.cached_tokens, tuple(growth.pieces))
        if active.events:
            return pieces
        load_s = self._result_loop.load_wait_s(active)
        return replace(
            pieces,
            load_s=load_s,
            digest=self._generators[active.model].info.digest,
            prompt_ids=answer.prompt_ids if answer.job.return_ids else (),
        )
