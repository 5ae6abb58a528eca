"""Which models there are, for requests that must know one before they become a job."""

from api.queue import Queue
from jobs.errors import NoWorker, UnknownModel
from jobs.types import ModelInfo


async def served_model(queue: Queue, name: str) -> ModelInfo:
    """Raises UnknownModel, saying which there are, and NoWorker where there is none."""
    models = await queue.models()
    for info in models:
        if info.id == name:
            return info
    if not models:
        raise NoWorker
    known = ", ".join(info.id for info in models)
    raise UnknownModel(f"The model {name!r} does not exist. There is: {known}.", param="model")
