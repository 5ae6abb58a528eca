"""Turns tokens into text, tells streams of it, and hands complete answers on."""

import logging
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from jobs.generate import Piece, Pieces
from workers.loops.decode import Said, answer_of
from workers.queue.client import Ledger
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import Generator, NewToken
from workers.scheduling.in_flight import Entry, Hand, Held

log = logging.getLogger(__name__)

MAX_EVENTS = 256
"""Events in one EMIT: keeps the script near a millisecond."""

RETRY_S = 0.1


@dataclass(slots=True)
class _Grown:
    """What the answers of one job grew by."""

    held: Held
    answers: dict[int, Answer] = field(default_factory=dict)  # by their place in the job
    complete: list[Entry] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)


class Writer:
    """Runs in a thread of its own, until stopped and empty, so that the device never waits for Redis.

    Steps that pile up while an EMIT is under way share the next one.
    """

    def __init__(
        self,
        hand: Hand,
        ledger: Ledger,
        generators: Mapping[str, Generator],
        complete: Callable[[Held], None],
    ) -> None:
        self._hand = hand
        self._ledger = ledger
        self._generators = generators
        self._complete = complete
        self._steps: queue.SimpleQueue[list[Said] | None] = queue.SimpleQueue()
        self._stopping = False

    def say(self, step: list[Said]) -> None:
        """The tokens of one decode step."""
        self._steps.put(step)

    def stop(self) -> None:
        """Write what is there, then end."""
        self._stopping = True
        self._steps.put(None)

    def run(self) -> None:
        while not self._stopping or not self._steps.empty():
            self._write(self._read())

    def _read(self) -> list[Said]:
        """All tokens that wait; blocks until there are some."""
        said = list(self._steps.get() or ())
        while True:
            try:
                said += self._steps.get_nowait() or ()
            except queue.Empty:
                return said

    def _write(self, said: Sequence[Said]) -> None:
        touched: dict[int, _Grown] = {}
        for entry, token, at in said:
            if not self._hand.is_wanted(entry.held):
                continue
            answer = answer_of(entry)
            if answer.is_complete and token is not None:
                continue
            grown = touched.get(id(entry.held)) or touched.setdefault(id(entry.held), _Grown(entry.held))
            grown.answers[entry.place] = answer
            if token is not None:
                answer.note_token(at)
                self._add(entry, token)
            if answer.is_complete:
                grown.complete.append(entry)
        for grown in touched.values():
            self._take_pieces(grown)
        self._emit([grown for grown in touched.values() if grown.pieces and grown.held.claim.streams])
        for grown in touched.values():
            self._hand_on(grown)

    def _add(self, entry: Entry, token: NewToken) -> None:
        answer = answer_of(entry)
        logprobs = None
        if token.logprobs is not None:
            chances = self._generators[entry.held.model].chances
            logprobs = chances.describe(token.logprobs, token.token, answer.job.logprobs or 0)
        answer.transcript.add(token.token, token.finish, logprobs)

    def _take_pieces(self, grown: _Grown) -> None:
        """What can be shown of the job's answers; where it does not stream, they are asked at their end."""
        for answer in grown.answers.values():
            if grown.held.claim.streams or answer.is_complete:
                piece = answer.transcript.take()
                if piece is not None:
                    grown.pieces.append(piece)

    def _emit(self, all_grown: Sequence[_Grown]) -> None:
        for start in range(0, len(all_grown), MAX_EVENTS):
            part = all_grown[start : start + MAX_EVENTS]
            events = [(grown.held.claim, grown.held.told + 1, _event(grown)) for grown in part]
            lost = self._insist(lambda events=events: self._ledger.emit(events))
            for grown in part:
                grown.held.told += 1
            if lost:
                self._hand.lose(lost)

    def _insist(self, emit: Callable[[], set[str]]) -> set[str]:
        """Redis away: the words wait for it, and the answers go on. A worker that is to stop does not wait."""
        while True:
            try:
                return emit()
            except RedisError as error:
                if self._stopping:
                    return set()
                self._ledger.outage.note(error)
                time.sleep(RETRY_S)

    def _hand_on(self, grown: _Grown) -> None:
        choices = [answer_of(entry).transcript.choice_so_far() for entry in grown.complete]
        for held in self._hand.record(grown.complete, choices):
            self._complete(held)


def _event(grown: _Grown) -> Pieces:
    answer = next(item for item in grown.held.items if isinstance(item, Answer))
    return Pieces(answer.prompt_tokens, answer.cached_tokens, tuple(grown.pieces))
