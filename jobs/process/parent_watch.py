"""Children that end with their parent, also when it is killed: they watch a pipe whose other end only it holds."""

import os
import signal
import threading
import time


class ParentPipe:
    """Held by the parent for its whole life. Pass `read_fd` to children (pass_fds), who watch it."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe()  # not inherited unless passed on

    def close(self) -> None:
        """Closes both ends, upon which the children end."""
        os.close(self._write_fd)
        os.close(self.read_fd)


def exit_with_parent(read_fd: int, *, grace_s: float = 10) -> None:
    """Watch from a thread: when the parent is gone, SIGTERM to ourselves, and after `grace_s` the end at once."""

    def watch() -> None:
        while os.read(read_fd, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()
