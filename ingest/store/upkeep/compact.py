"""The program that rewrites a shard without its dead points, as a process of its own: qdrant-edge holds Python's lock.

It copies the shard, prints one line (from then on the shard may be written to), and compacts the copy. It ends with its
parent, which holds the other end of its standard input.
"""

import os
import shutil
import sys
from pathlib import Path

import qdrant_edge as edge

from ingest.store.description import read_description
from ingest.store.translate.schema import edge_config
from jobs.process.parent_watch import exit_with_parent

COPIED = b"copied\n"

VACUUM = edge.EdgeOptimizersConfig(deleted_threshold=0.05, vacuum_min_vector_number=1)
"""The store has found that it is worth it."""

NICE = 10


def main(folder: Path, source: str, target: str) -> None:
    """folder: of the collection. source, target: names of shards in it."""
    exit_with_parent(sys.stdin.fileno())
    os.nice(NICE)
    shutil.copytree(folder / source, folder / target)
    sys.stdout.buffer.write(COPIED)
    sys.stdout.flush()
    shard = edge.EdgeShard.load(str(folder / target), edge_config(read_description(folder).created(), VACUUM))
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
