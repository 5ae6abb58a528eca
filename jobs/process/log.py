"""How our processes log: an event is a sentence plus fields, on one line of stderr."""

import logging
import sys

from jobs.process.colour import bleach, paint, shows_colours

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class EventFormatter(logging.Formatter):
    """Puts the fields given as `extra` behind the sentence: `worker.started worker=a1 models=2`."""

    def __init__(self, layout: str) -> None:
        super().__init__(layout)
        self._paints = shows_colours(sys.stderr)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        level = record.levelname
        if self._paints and record.levelno >= logging.WARNING:
            record.levelname = paint(
                level, "red" if record.levelno >= logging.ERROR else "yellow", sys.stderr
            )
        line = super().formatMessage(record)
        if not self._paints and "\x1b" in line:
            line = bleach(line)  # RQ paints its own
        record.levelname = level
        fields = [f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD]
        return " ".join([line, *fields])


def set_up_logging(level: str) -> None:
    """Once, at a process's entry point."""
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("httpcore", "httpcore2", "httpx", "httpx2", "huggingface_hub", "PIL", "rq", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLogger().level))
