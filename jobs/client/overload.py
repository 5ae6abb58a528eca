"""Says when a caller whose job was refused may come back."""

from jobs.client.inspector import QueueInspector
from jobs.errors import Overloaded


async def overloaded(
    inspector: QueueInspector, queue: str, verdict: str, found: int, most_bytes: int
) -> Overloaded:
    """The error of a queue that takes no more. verdict, found: as ADMIT says it (full: jobs, heavy: bytes).

    A tenth of the queue has drained after its retry_after_s, at the measured rate. Raises RedisError.
    """
    rate = await inspector.drain_rate(queue)
    jobs = found if verdict == "full" else await inspector.length(queue)
    wait_s = min(3600, max(1, round(jobs / 10 / rate))) if rate > 0 else 60
    what = f"{found} jobs wait already, the most this queue takes"
    if verdict == "heavy":
        what = f"The jobs that wait have {found} bytes, and this queue takes {most_bytes} bytes at most"
    return Overloaded(f"{what}. Try again in {wait_s} s.", retry_after_s=wait_s)
