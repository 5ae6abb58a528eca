"""Changing what models are called, on the machines that have them."""

import asyncio
from collections.abc import Callable

from api.work.queue import Queue
from jobs.catalogue.defaults import ModelDefaults
from jobs.catalogue.entry import is_same_name
from jobs.errors import JobError, NoWorker
from jobs.machines.commands import Command, CopyModel, CreateModel, RemoveModel
from jobs.machines.machines import MachineInfo, carried_out
from jobs.models import ModelInfo


async def copy_model(queue: Queue, source: ModelInfo, name: str) -> None:
    """Another name for a model, on every machine that has it. Raises what `_everywhere` does."""
    await _everywhere(queue, source, lambda: CopyModel(source=source.id, name=name))


async def create_model(
    queue: Queue, source: ModelInfo, name: str, defaults: ModelDefaults, *, template: str, license: str
) -> None:
    """An alias with defaults of its own, on every machine that has its model. Raises what `_everywhere` does."""
    await _everywhere(
        queue,
        source,
        lambda: CreateModel(
            name=name, source=source.id, defaults=defaults, template=template, license=license
        ),
    )


async def remove_model(queue: Queue, info: ModelInfo) -> None:
    """A model or an alias, from every machine that has it. Raises what `_everywhere` does."""
    await _everywhere(queue, info, lambda: RemoveModel(name=info.id))


async def _everywhere(queue: Queue, info: ModelInfo, command: Callable[[], Command]) -> None:
    """Raises NoWorker where no machine that has it can be told so, QueueUnavailable, and the first machine's error:
    InvalidInput, UnknownModel, InternalError.
    """
    machines = [each.id for each in await queue.machines.live() if _has(each, info)]
    if not machines:
        raise NoWorker(
            f"No machine that has {info.id} takes commands: `mlxq up` or `mlxq worker` must run there."
        )
    ends = await asyncio.gather(
        *(carried_out(queue.machines, machine, command()) for machine in machines), return_exceptions=True
    )
    failures = [end for end in ends if isinstance(end, BaseException)]
    for failure in failures:
        if not isinstance(failure, JobError):
            raise failure
    if failures:
        raise failures[0]


def _has(machine: MachineInfo, info: ModelInfo) -> bool:
    names = (*machine.settings_models, *(entry.name for entry in machine.entries))
    return any(is_same_name(name, info.id) for name in names)
