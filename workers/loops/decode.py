"""The answers that are being written: begun, advanced a token at a time, ended. Belongs to the device's thread."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from jobs.errors import InternalError, JobError
from workers.runners.generate.answer import Answer
from workers.runners.generate.contract import Decoder, Generator, NewToken, decoder_of
from workers.scheduling.in_flight import Entry, Hand, Held

log = logging.getLogger(__name__)

MAX_RESTARTS = 3
"""A decoder that keeps failing although each answer works alone."""


class Said(NamedTuple):
    """A token of an answer; None where an earlier execution had told all of it. at: when it came, by time.monotonic."""

    entry: Entry
    token: NewToken | None
    at: float


class Decoding:
    """say: where the tokens of a step go. fail: for a job that cannot go on."""

    def __init__(
        self,
        hand: Hand,
        generators: Mapping[str, Generator],
        say: Callable[[list[Said]], None],
        fail: Callable[[Held, JobError], None],
    ) -> None:
        self._hand = hand
        self._generators = generators
        self._say = say
        self._fail = fail
        self._entries: dict[str, dict[int, Entry]] = {model: {} for model in generators}
        self._restarts = dict.fromkeys(generators, 0)

    def turn(self, seconds: float) -> bool:
        """One step of every model with answers, in about that time if prompts wait. Whether there was any."""
        busy = False
        for model, generator in self._generators.items():
            if generator.decoder is None:
                continue
            self._end_unwanted(model)
            self._begin_waiting(model)
            if len(generator.decoder):
                busy = True
                self._step(model, seconds)
        return busy

    def writes(self, model: str) -> bool:
        """Whether there are answers of the model."""
        return bool(self._entries.get(model))

    def abandon(self) -> None:
        """End everything: the worker stops. What was told of streams is in their logs."""
        for model, entries in self._entries.items():
            if entries:
                self._decoder(model).remove(list(entries))
                self._hand.interrupt(entries.values())
                entries.clear()

    def _decoder(self, model: str) -> Decoder:
        """Of a model with answers: it stays loaded."""
        return decoder_of(self._generators[model])

    def _end_unwanted(self, model: str) -> None:
        entries = self._entries[model]
        gone = [
            uid
            for uid, entry in entries.items()
            if answer_of(entry).is_complete or not self._hand.is_wanted(entry.held)
        ]
        if gone:
            self._decoder(model).remove(gone)
            for uid in gone:
                del entries[uid]

    def _begin_waiting(self, model: str) -> None:
        for entry in self._hand.next_answers(model, len(self._entries[model])):
            if answer_of(entry).is_complete:
                self._say([Said(entry, None, time.monotonic())])
            else:
                self._begin(model, entry)

    def _begin(self, model: str, entry: Entry) -> int | None:
        answer = answer_of(entry)
        answer.note_begun(time.monotonic())
        try:
            uid = self._decoder(model).insert(answer)
        except Exception as error:  # noqa: BLE001  # what one answer asks for must not end the others
            self._give_up(entry, error)
            return None
        self._entries[model][uid] = entry
        return uid

    def _step(self, model: str, seconds: float) -> None:
        try:
            tokens = self._decoder(model).step(seconds)
        except Exception:
            log.exception(
                "a decode step failed", extra={"model": model, "answers": len(self._entries[model])}
            )
            self._recover(model)
            return
        self._restarts[model] = 0
        self._pass_on(model, tokens)

    def _pass_on(self, model: str, tokens: Sequence[NewToken]) -> None:
        entries = self._entries[model]
        now = time.monotonic()
        said: list[Said] = []
        for token in tokens:
            entry = entries[token.uid]
            answer = answer_of(entry)
            answer.generated.append(token.token)
            if token.finish is not None:
                del entries[token.uid]
            if answer.failure is not None:
                self._give_up(entry, answer.failure)
            else:
                said.append(Said(entry, token, now))
        if said:
            self._say(said)

    def _recover(self, model: str) -> None:
        """Find the answer that breaks the step: each one goes on alone for a token, then the sound ones together."""
        waiting = [*self._entries[model].values()]
        self._restarts[model] += 1
        sound: list[Entry] = []
        for entry in waiting:
            self._restart(model)
            if self._restarts[model] > MAX_RESTARTS:
                self._give_up(entry, None)
            elif self._goes_on_alone(model, entry):
                sound.append(entry)
        self._restart(model)
        for entry in sound:
            self._begin(model, entry)

    def _goes_on_alone(self, model: str, entry: Entry) -> bool:
        """Whether it got a token and goes on after that."""
        uid = self._begin(model, entry)
        if uid is None:
            return False
        try:
            tokens: list[NewToken] = []
            while not tokens:
                tokens = self._decoder(model).step(0.0)
        except Exception as error:  # noqa: BLE001  # this is the one
            del self._entries[model][uid]
            self._give_up(entry, error)
            return False
        self._pass_on(model, tokens)
        return uid in self._entries[model]

    def _restart(self, model: str) -> None:
        self._decoder(model).restart()
        for entry in self._entries[model].values():
            answer_of(entry).rewind()
        self._entries[model].clear()

    def _give_up(self, entry: Entry, error: Exception | None) -> None:
        failure = error if isinstance(error, JobError) else InternalError()
        if failure is not error:
            failure.__cause__ = error
        for held in self._hand.condemn([entry.held.claim.id]):
            self._fail(held, failure)


def answer_of(entry: Entry) -> Answer:
    """The item of a generating job."""
    answer = entry.held.items[entry.place]
    assert isinstance(answer, Answer)
    return answer
