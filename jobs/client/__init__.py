"""The asynchronous side of the queue: submit, wait, follow a stream, look in."""
