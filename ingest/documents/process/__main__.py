"""One reading process, started by `ReadingProcess`. Requests come on stdin, answers go to stdout."""

import argparse
import os

import msgspec

from ingest.documents.process.answering import Answering
from ingest.documents.process.memory_watch import MemoryWatch
from ingest.documents.process.messages import LENGTH, READY, Request
from ingest.documents.process.shared_memory import SharedMemory
from jobs.process.parent_watch import exit_with_parent
from jobs.process.processor import NICE, lower_process_priority


def serve(answering: Answering, watch: MemoryWatch) -> None:
    """Until stdin ends."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):  # libraries in C say on stderr what they think of a file
        os.dup2(silence, handle)
    decoder = msgspec.msgpack.Decoder(Request)
    encoder = msgspec.msgpack.Encoder()
    replies.write(READY)
    replies.flush()
    while length := requests.read(LENGTH.size):
        with watch:
            reply = encoder.encode(answering.answer(decoder.decode(requests.read(*LENGTH.unpack(length)))))
        replies.write(LENGTH.pack(len(reply)) + reply)
        replies.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--memory-fd", type=int, required=True, help="the file that pictures are drawn into")
    parser.add_argument("--memory-limit", type=int, required=True, help="bytes that this process may take")
    options = parser.parse_args()
    lower_process_priority(NICE)
    exit_with_parent(options.parent_fd, grace_s=1)
    serve(Answering(SharedMemory(options.memory_fd)), MemoryWatch(options.memory_limit))


if __name__ == "__main__":
    main()
