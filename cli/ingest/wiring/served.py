"""Which models live workers serve, asked over Redis."""

import asyncio
from collections.abc import Callable

from redis.exceptions import RedisError

from cli.cannot_do import CannotDo
from cli.configuration import data_option
from jobs.client.inspector import QueueInspector
from jobs.models import ModelInfo
from jobs.settings import Settings
from jobs.store.connection import connect_async, impatient, own_folder, redis_url
from jobs.store.outage import cause_of

PATIENCE_S = 5.0
POLL_S = 0.5

STARTING = "The worker is starting, and is waited for."


async def served_models(settings: Settings, note: Callable[[str], None]) -> list[ModelInfo]:
    """note: told once where a worker is starting. Raises: CannotDo, which says what to start."""
    async with connect_async(redis_url(settings)) as client, impatient(client, PATIENCE_S) as redis:
        inspector = QueueInspector(redis, limit=settings.queue_limit)
        try:
            workers, is_starting = await inspector.attendance()
            if is_starting and not workers:
                note(STARTING)
            while is_starting and not workers:
                await asyncio.sleep(POLL_S)
                workers, is_starting = await inspector.attendance()
            models = await inspector.models()
        except (RedisError, OSError) as error:
            raise CannotDo(f"Redis does not answer ({cause_of(error)}). {what_to_start(settings)}") from error
        finally:
            await inspector.aclose()
    served = {name for worker in workers for name in worker.models}
    if not served:
        raise CannotDo(f"No worker runs. {what_to_start(settings)}")
    return [info for info in models if info.id in served]


def what_to_start(settings: Settings) -> str:
    """Where nothing runs that an ingest needs."""
    if own_folder(settings) is None:
        return "Start `mlxq worker` with the same REDIS_URL, on this machine or another."
    return f"Start `mlxq up{data_option(settings)}` in another terminal, and ingest again."
