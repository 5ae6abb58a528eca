"""What a worker does when a model comes or leaves while it runs."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import redis
from rq import Queue, SimpleWorker, worker_registration

from jobs.job import LANES
from jobs.store import keys
from jobs.store.serializer import MsgpackSerializer
from workers.loops.device import DeviceLoop
from workers.loops.heartbeat import Heartbeat
from workers.models.model_cache import ModelCache
from workers.models.resolve import LocalModel
from workers.queue.announce_start import other_files
from workers.queue.fleet import Fleet
from workers.roster.roster import Opened
from workers.runners.contract import BatchRunner, Runner
from workers.runners.generate.contract import Generator
from workers.scheduling.in_flight import InFlight
from workers.scheduling.packing import BatchLimits


class RunnersByKind(NamedTuple):
    """What the loops look runners up in. Only the device's thread puts some in; none is ever taken out."""

    batching: dict[str, BatchRunner]
    generators: dict[str, Generator]
    limits: BatchLimits
    """Of the batches of a model that comes."""


class ModelHost:
    """A workers.roster.roster.Host."""

    def __init__(
        self,
        rq_worker: SimpleWorker,
        lease_s: float,
        slots: int,
        in_flight: InFlight,
        device_loop: DeviceLoop,
        heartbeat: Heartbeat,
        model_cache: ModelCache,
        runners: RunnersByKind,
        open_model: Callable[[LocalModel], Runner],
    ) -> None:
        """slots: answers that a generator writes at a time. open_model: is called on the device's thread."""
        self._rq_worker = rq_worker
        self._fleet = Fleet(rq_worker.connection, rq_worker.name)
        self._lease_s = lease_s
        self._slots = slots
        self._in_flight = in_flight
        self._device_loop = device_loop
        self._heartbeat = heartbeat
        self._model_cache = model_cache
        self._runners = runners
        self._open_model = open_model

    def open_later(self, model: LocalModel, done: Callable[[Opened], None]) -> None:
        """On the device's thread, between two batches."""

        def errand() -> None:
            try:
                runner = self._open_model(model)
                self._put_in(model.id, runner)
            except Exception as error:  # noqa: BLE001 - whatever a library throws is said of the model
                done(Opened(model, None, error))
            else:
                done(Opened(model, runner))

        self._device_loop.call_soon(errand)

    def _put_in(self, model: str, runner: Runner) -> None:
        if isinstance(runner, Generator):
            self._runners.generators[model] = runner
            self._device_loop.add_model(model, None, self._slots)
        elif isinstance(runner, BatchRunner):
            self._runners.batching[model] = runner
            self._device_loop.add_model(model, self._runners.limits, 0)

    def take_on(self, runner: Runner) -> None:
        """Raises InvalidInput where it needs too much memory, or another worker serves its name from other files;
        RedisError.
        """
        info, worker = runner.info, self._rq_worker
        self._model_cache.check_size(runner)
        if conflict := self._fleet.register([info], self._lease_s):
            raise other_files(conflict, [info])
        worker.queues += rq_queues(worker.connection, {info.id: runner})
        worker_registration.register(worker)
        self._fleet.announce_details({info.id: runner.details})
        self._model_cache.add(runner)
        self._in_flight.wake_claim_loop()

    def let_go(self, model: str) -> None:
        """What is here of its work is done first. Raises RedisError; to be called again then."""
        worker = self._rq_worker
        if model in self._model_cache.runners:
            self._model_cache.retire(model)
        gone = {each.name for each in worker.queues if keys.model_of(each.name) == model}
        for name in gone:
            worker.connection.srem(keys.workers_of(name), worker.key)
        self._heartbeat.announce()
        self._fleet.withdraw(model)
        worker.queues = [each for each in worker.queues if each.name not in gone]
        self._in_flight.wake_claim_loop()


def rq_queues(connection: redis.Redis, runners: Mapping[str, Runner]) -> list[Queue]:
    """One per task, model and lane."""
    return [
        Queue(keys.queue_name(task, model, lane), connection=connection, serializer=MsgpackSerializer)
        for model, runner in runners.items()
        for task in runner.info.tasks
        for lane in LANES
    ]
