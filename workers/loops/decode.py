"""The answers that are being written: begun, advanced a token at a time, ended."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jobs.errors import InternalError, JobError
from workers.loops.result import ResultLoop
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import Decoder, Generator, NewToken, decoder_of
from workers.scheduling.device_queue import QueuedItem
from workers.scheduling.in_flight import InFlight

log = logging.getLogger(__name__)

MAX_RESTARTS = 3
"""A decoder that keeps failing although each answer works alone."""


class TokenEvent(NamedTuple):
    """A token of an answer came."""

    queued: QueuedItem
    """The answer."""
    token: NewToken | None
    """None where an earlier execution had published all of the answer."""
    at: float
    """By time.monotonic."""


class DecodeBatch:
    """The running answers of all generating models. Belongs to the device's thread."""

    def __init__(
        self,
        in_flight: InFlight,
        generators: Mapping[str, Generator],
        publish: Callable[[list[TokenEvent]], None],
        result_loop: ResultLoop,
    ) -> None:
        """publish: takes the tokens of a step."""
        self._in_flight = in_flight
        self._generators = generators
        self._publish = publish
        self._result_loop = result_loop
        self._running: dict[str, dict[int, QueuedItem]] = {model: {} for model in generators}
        """Of each model, the answers by the number that its decoder gave them."""
        self._restarts = dict.fromkeys(generators, 0)

    def add(self, model: str) -> None:
        """Another generator, which is in `generators` by now."""
        self._running.setdefault(model, {})
        self._restarts[model] = 0

    def step(self, seconds: float) -> bool:
        """One step of every model with answers, in about that time if prompts wait. Whether there was any."""
        busy = False
        for model, generator in self._generators.items():
            if generator.decoder is None:
                continue
            self._end_unwanted(model)
            self._begin_waiting(model)
            if len(generator.decoder):
                busy = True
                self._step_model(model, seconds)
        return busy

    def has_answers(self, model: str) -> bool:
        """Whether answers of the model are being written."""
        return bool(self._running.get(model))

    def stop(self) -> None:
        """End everything: the worker stops. What was published of streams is in their logs."""
        for model, running in self._running.items():
            if running:
                self._decoder(model).remove(list(running))
                self._in_flight.preempt(running.values())
                running.clear()

    def _decoder(self, model: str) -> Decoder:
        """Of a model with answers: it stays loaded."""
        return decoder_of(self._generators[model])

    def _end_unwanted(self, model: str) -> None:
        running = self._running[model]
        gone = [
            uid
            for uid, queued in running.items()
            if answer_of(queued).is_complete or not queued.active.is_wanted
        ]
        if gone:
            self._decoder(model).remove(gone)
            for uid in gone:
                del running[uid]

    def _begin_waiting(self, model: str) -> None:
        lanes = [queued.lane for queued in self._running[model].values()]
        for queued in self._in_flight.next_answers(model, lanes):
            if answer_of(queued).is_complete:
                self._publish([TokenEvent(queued, None, time.monotonic())])
            else:
                self._begin(model, queued)

    def _begin(self, model: str, queued: QueuedItem) -> int | None:
        answer = answer_of(queued)
        answer.note_begun(time.monotonic())
        try:
            uid = self._decoder(model).insert(answer)
        except Exception as error:  # noqa: BLE001  # what one answer asks for must not end the others
            self._give_up(queued, error)
            return None
        self._running[model][uid] = queued
        return uid

    def _step_model(self, model: str, seconds: float) -> None:
        try:
            tokens = self._decoder(model).step(seconds)
        except Exception:
            log.exception(
                "a decode step failed", extra={"model": model, "answers": len(self._running[model])}
            )
            self._recover(model)
            return
        self._restarts[model] = 0
        self._pass_on(model, tokens)

    def _pass_on(self, model: str, tokens: Sequence[NewToken]) -> None:
        running = self._running[model]
        now = time.monotonic()
        events: list[TokenEvent] = []
        for token in tokens:
            queued = running[token.uid]
            answer = answer_of(queued)
            answer.generated.append(token.token)
            if token.finish is not None:
                del running[token.uid]
            if answer.failure is not None:
                self._give_up(queued, answer.failure)
            else:
                events.append(TokenEvent(queued, token, now))
        if events:
            self._publish(events)

    def _recover(self, model: str) -> None:
        """Find the answer that breaks the step: each one goes on alone for a token, then the sound ones together."""
        waiting = [*self._running[model].values()]
        self._restarts[model] += 1
        sound: list[QueuedItem] = []
        for queued in waiting:
            self._restart(model)
            if self._restarts[model] > MAX_RESTARTS:
                self._give_up(queued, None)
            elif self._goes_on_alone(model, queued):
                sound.append(queued)
        self._restart(model)
        for queued in sound:
            self._begin(model, queued)

    def _goes_on_alone(self, model: str, queued: QueuedItem) -> bool:
        """Whether it got a token and goes on after that."""
        uid = self._begin(model, queued)
        if uid is None:
            return False
        try:
            tokens: list[NewToken] = []
            while not tokens:
                tokens = self._decoder(model).step(0.0)
        except Exception as error:  # noqa: BLE001  # this is the one
            del self._running[model][uid]
            self._give_up(queued, error)
            return False
        self._pass_on(model, tokens)
        return uid in self._running[model]

    def _restart(self, model: str) -> None:
        self._decoder(model).restart()
        for queued in self._running[model].values():
            answer_of(queued).rewind()
        self._running[model].clear()

    def _give_up(self, queued: QueuedItem, error: Exception | None) -> None:
        failure = error if isinstance(error, JobError) else InternalError()
        if failure is not error:
            failure.__cause__ = error
        for active in self._in_flight.begin_finish([queued.active]):
            self._result_loop.fail(active, failure)


def answer_of(queued: QueuedItem) -> Answer:
    """The item of a generating job."""
    assert isinstance(queued.item, Answer)
    return queued.item
