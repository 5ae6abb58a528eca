"""Which models there are, for requests that must know one before they become a job."""

from api.work.queue import Queue
from jobs.errors import NoWorker
from jobs.models import ModelInfo, find_model, unknown_model


async def served_model(queue: Queue, name: str, task: str | None = None) -> ModelInfo:
    """The model that a request means, as find_model says.

    Raises UnknownModel, saying which there are, and NoWorker where there is none.
    """
    models = await queue.models()
    if not models:
        raise NoWorker
    info = find_model(name, models, task)
    if info is None:
        raise unknown_model(name, models)
    return info
