"""Which machines are meant by a name."""

from collections.abc import Sequence

from jobs.errors import InvalidInput, NoWorker
from jobs.machines.machines import MachineInfo

ALL = "all"


def chosen_machines(live: Sequence[MachineInfo], on: str, own: str) -> list[MachineInfo]:
    """on: a machine's id, its host's name, a name of a worker on it, or "all"; empty: the machine `own`, which asks, or
    where nothing lives on that, the first by its id.

    Raises NoWorker where none lives, and InvalidInput where none is meant.
    """
    machines = sorted(live, key=lambda each: each.id)
    if not machines:
        raise NoWorker(
            "No machine can be told to do it: none runs `mlxq up` or `mlxq worker` with this Redis. Start one."
        )
    if on == ALL:
        return machines
    if not on:
        return [next((each for each in machines if each.id == own), machines[0])]
    found = [each for each in machines if on == each.id or _host(each) in (on, on.rsplit(".", 2)[0])]
    if not found:
        ids = ", ".join(each.id for each in machines)
        raise InvalidInput(f"There is no machine {on!r}. There is: {ids}; or say {ALL}.", param="on")
    return found


def _host(machine: MachineInfo) -> str:
    return machine.id.rpartition(".")[0]
