"""`python -m workers.openblas COMMAND …` runs a command as the launcher runs a worker: with an OpenBLAS preloaded.

Without a command it prints the path of that library, or nothing.
"""

import os
import sys

from jobs.process.log import set_up_logging
from workers.openblas.library import find_openblas, needs_openblas
from workers.openblas.preload import preload_openblas


def main(command: list[str]) -> None:
    if not command:
        print((find_openblas() if needs_openblas() else None) or "")
        return
    set_up_logging("INFO")
    os.execvpe(command[0], command, preload_openblas(os.environ))


if __name__ == "__main__":
    main(sys.argv[1:])
