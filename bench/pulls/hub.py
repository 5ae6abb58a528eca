"""A stand-in hub in a process of its own: `python -m bench.pulls.hub GIGABYTES BYTES_PER_S`.

It has one model, org/model. It prints its port and, after each line that it reads, how many bytes of content it sent.
"""

import os
import sys

from tests.support.hub.repository import Made, repository
from tests.support.hub.server import running_hub

NAME = "org/model"
CONFIG = b'{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}'


def main(gigabytes: float, bytes_per_s: float) -> None:
    os.nice(10)  # what a hub takes of the processor is not the machine's that pulls
    weights = Made(int(gigabytes * 1e9))
    with running_hub() as hub:
        hub.repositories[NAME] = repository(
            {"config.json": CONFIG, "tokenizer.json": b"{}", "model.safetensors": weights}
        )
        size_bytes = sum(file.size_bytes for file in hub.repositories[NAME].files.values())
        print(hub.port, size_bytes, weights.sha256, flush=True)
        hub.bytes_per_s = bytes_per_s or None
        for _ in sys.stdin:
            print(sum(hub.sent.values()), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
