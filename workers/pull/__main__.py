"""`python -m workers.pull`: one pull, told on standard output as JSON, an object a line (workers.hub.reporter).

SIGINT and SIGTERM cancel it; what was downloaded is kept for the next one. Exit codes: 0 success, 1 no model,
130 canceled.
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import MutableMapping, Sequence

from huggingface_hub.utils import disable_progress_bars

from jobs.errors import InternalError
from jobs.machines.commands import Progress
from jobs.process.log import set_up_logging
from jobs.process.parent_watch import exit_with_parent
from jobs.process.processor import NICE, lower_process_priority
from jobs.settings import Settings
from workers.hub.fetch import Hub
from workers.hub.problem import Canceled, PullError
from workers.hub.reporter import Printer, Reporter
from workers.pull.pull import pull
from workers.pull.request import KINDS, QUANTISATIONS, PullRequest

log = logging.getLogger("workers.pull")  # not __name__: that is "__main__" here

CANCELED = 130
LAST_WORD_S = 3.0
"""A canceled pull that waits for the network ends after this time."""

TRUSTING = "TRUST_REMOTE_CODE"
"""How variables end by which libraries run programs of models."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.parent_fd is not None:
        exit_with_parent(options.parent_fd)
    trust_nothing(os.environ)
    # Libraries print; what they say goes to the log.
    printer = Printer(os.fdopen(os.dup(1), "wb", buffering=0))
    os.dup2(2, 1)
    set_up_logging("WARNING")
    disable_progress_bars()
    lower_process_priority(NICE)
    progress = Reporter(printer)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _cancel(progress, printer))
    try:
        pull(_request(options), Hub(), progress)
    except PullError as error:
        printer.last(error.told())
        return CANCELED if isinstance(error, Canceled) else 1
    except Exception:
        log.exception("a pull failed")
        printer.last(Progress(error="The pull failed: the log says why.", code=InternalError.code))
        return 1
    return 0


def trust_nothing(environ: MutableMapping[str, str]) -> None:
    """No library runs a model's programs because a variable says so."""
    for name in [each for each in environ if each.endswith(TRUSTING) and not each.startswith("MLXQ_")]:
        del environ[name]


def _cancel(progress: Reporter, printer: Printer) -> None:
    progress.cancel()

    def end() -> None:
        printer.last(Canceled().told())
        os._exit(CANCELED)

    timer = threading.Timer(LAST_WORD_S, end)
    timer.daemon = True
    timer.start()


def _request(options: argparse.Namespace) -> PullRequest:
    settings = Settings()  # whoever starts us has checked them
    return PullRequest(
        source=options.source,
        data=settings.data,
        name=options.name,
        kind=options.type,
        quantise=options.quantize,
        revision=options.revision,
        trusted=settings.trust_remote_code,
        from_hub=options.from_hub,
        models=settings.models,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m workers.pull")
    parser.add_argument("source", metavar="NAME")
    parser.add_argument("--as", dest="name", default="")
    parser.add_argument("--type", choices=KINDS)
    parser.add_argument("--quantize", choices=QUANTISATIONS)
    parser.add_argument("--revision")
    parser.add_argument("--from-hub", action="store_true", help="NAME is no folder of this machine")
    parser.add_argument("--parent-fd", type=int, help="end when the process at this pipe's other end does")
    return parser


if __name__ == "__main__":
    sys.exit(main())
