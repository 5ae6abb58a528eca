import json
import subprocess
import sys

from api.app import create_app
from jobs.settings import Settings
from tests.support.memory_queue import MemoryQueue

PROBE = """
import json, sys
import api.app, jobs.client.queue
from jobs.settings import Settings
from tests.support.memory_queue import MemoryQueue
api.app.create_app(MemoryQueue(), Settings())
modules = sorted({name.partition(".")[0] for name in sys.modules})
import psutil  # not ru_maxrss: it counts the process that started this one
print(json.dumps({"size_bytes": psutil.Process().memory_info().rss, "modules": modules}))
"""


async def test_the_queue_lives_as_long_as_the_application(queue: MemoryQueue):
    app = create_app(queue, Settings())
    async with app.router.lifespan_context(app):
        assert queue.running
    assert not queue.running


def test_the_api_process_is_small_and_without_numerics():
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=True)
    probe = json.loads(done.stdout)
    assert not {"mlx", "mlx_lm", "mlx_vlm", "numpy", "torch", "workers", "ingest"} & set(probe["modules"])
    assert probe["size_bytes"] < 150 * 2**20
