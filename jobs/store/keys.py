"""Names of the Redis keys that Python code uses (the scripts' own are in lua/)."""

import functools
import hashlib
from collections.abc import Iterable

from jobs.job import LANES, Lane

LEASES = "mlxq:leases"
"""Workers, each by the time (of Redis, in seconds) until which it has not to be taken for dead."""
CLOCK = "mlxq:clock"
"""When leases were last looked after, and until when none of them ends."""
MODELS = "mlxq:models"
MODEL_DETAILS = "mlxq:model_details"
"""What is known of models besides, by their ids: too much to be read with each list of them."""
MACHINES = "mlxq:machines"
"""What each machine says of its catalogue, by its id."""
STARTING = "mlxq:starting"
"""Workers that load their models and serve none yet, each by the time (of Redis, in seconds) until which that holds."""
FOLLOWUPS = "mlxq:followups"
FOLLOWUP_TRIES = "mlxq:followup_tries"
"""How often each of them has been tried."""
CHATS = "mlxq:chats"
"""The ids of stored chats, in the order of their time."""
QUEUES = "rq:queues"
WORKERS = "rq:workers"
SUSPENDED = "rq:suspended"

JOB_PREFIX = "rq:job:"
QUEUE_PREFIX = "rq:queue:"
WORKER_PREFIX = "rq:worker:"


def queue_name(task: str, model: str, lane: str) -> str:
    """One queue per task, model and lane; model names may hold colons and slashes, tasks and lanes not."""
    return f"{task}:{model}:{lane}"


def model_of(queue_name: str) -> str:
    """The model of one of our queues."""
    parsed = parse_queue_name(queue_name)
    assert parsed is not None, "the queue is ours"
    return parsed[1]


@functools.lru_cache(1024)
def parse_queue_name(name: str) -> tuple[str, str, Lane] | None:
    """(task, model, lane), or None for a queue that is not ours."""
    task, _, rest = name.partition(":")
    model, _, lane = rest.rpartition(":")
    return (task, model, Lane(lane)) if task and model and lane in LANES else None


def names(replies: Iterable[bytes | str], prefix: str = "") -> list[str]:
    """Members of a Redis set as text, without their common prefix.

    What is no UTF-8 was written by a stranger. It must end nobody, so it gets a name that nothing else has.
    """
    texts = [reply.decode(errors="replace") if isinstance(reply, bytes) else reply for reply in replies]
    return [text.removeprefix(prefix) for text in texts]


def job(job_id: str) -> str:
    """RQ's record of a job: a hash."""
    return JOB_PREFIX + job_id


def queue(name: str) -> str:
    """RQ's list of the ids that wait in a queue."""
    return QUEUE_PREFIX + name


def jobs(queue_name: str) -> str:
    """All jobs of a queue that there is a record of, for lists of jobs. The members: `listed` in lua/lib.lua."""
    return f"mlxq:jobs:{queue_name}"


def tombstones(queue_name: str) -> str:
    """The ids in a queue's list whose jobs were canceled while they waited."""
    return f"mlxq:tombstones:{queue_name}"


def results(job_id: str) -> str:
    """RQ's stream of a job's results, newest last."""
    return f"rq:results:{job_id}"


def registry(status: str, queue_name: str) -> str:
    """RQ's registry of a status: started jobs are in `wip`, the others under their own name."""
    return f"rq:{'wip' if status == 'started' else status}:{queue_name}"


def workers_of(queue_name: str) -> str:
    """RQ's set of the workers that listen to a queue."""
    return f"{WORKERS}:{queue_name}"


def worker_commands(worker_name: str) -> str:
    """RQ's channel for commands to a worker."""
    return f"rq:pubsub:{worker_name}"


def wake(queue_name: str) -> str:
    """A list on which workers of this queue block until there is a job."""
    return f"mlxq:wake:{queue_name}"


def bell(worker_name: str) -> str:
    """A list on which one worker blocks until anything wants it to act."""
    return f"mlxq:bell:{worker_name}"


def loading(model: str) -> str:
    """The workers that are loading the model, and those that died of it, each with when it began and last got on."""
    return f"mlxq:loading:{model}"


def worker(name: str) -> str:
    """What a worker says about itself. It expires with the worker's lease."""
    return f"mlxq:worker:{name}"


def announced_model(field: bytes) -> str:
    """What logs call a field of MODELS."""
    return f"{MODELS} {field.decode(errors='replace')}"


def announced_machine(field: bytes) -> str:
    """What logs call a field of MACHINES."""
    return f"{MACHINES} {field.decode(errors='replace')}"


def digests(model: str) -> str:
    """The workers that serve the model, each with the digest of its files."""
    return f"mlxq:digests:{model}"


def machine_commands(machine: str) -> str:
    """A list of what a machine is to do with its models."""
    return f"mlxq:commands:{machine}"


def machine_parents(machine: str) -> str:
    """What each process of mlxq with the machine's data folder says of the models that its settings name."""
    return f"mlxq:parents:{machine}"


def progress(command_id: str) -> str:
    """How far such a command is."""
    return f"mlxq:progress:{command_id}"


def suspects(name: str) -> str:
    """A list of a queue's jobs that were in workers when they died, and run alone."""
    return f"mlxq:suspects:{name}"


def held(worker_name: str) -> str:
    """The executions that a worker holds, as the registry of started jobs names them, in the order of their claims."""
    return f"mlxq:held:{worker_name}"


def blob(execution: str) -> str:
    """A result too large for a script; named by its execution, so that a stale one cannot replace a good one."""
    return f"mlxq:blob:{execution}"


def page_blob(digest: str) -> str:
    """An image on its way to a worker, in parts: a hash."""
    return f"mlxq:page:{digest}"


def stream(job_id: str) -> str:
    """The log of a streaming generation: one entry `<number>-0` per event."""
    return f"mlxq:stream:{job_id}"


def chat(chat_id: str) -> str:
    """A stored chat: a hash (jobs.chats.redis)."""
    return f"mlxq:chat:{chat_id}"


def new_chat(token: str) -> str:
    """The parts of a chat that is about to be stored: a hash that lives for minutes."""
    return f"mlxq:new_chat:{token}"


def idempotency(key: str) -> str:
    """The job that a caller's idempotency key stands for. The key is hashed: it may be long, and it is the caller's."""
    return "mlxq:idem:" + hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
