"""What workers write about themselves and their models, and how it is read: whatever lies there may be another's."""

import logging
from collections.abc import Callable
from typing import TypeVar

import msgspec
from redis.exceptions import RedisError

from jobs.catalogue.details import ModelDetails
from jobs.machines.machines import MachineInfo
from jobs.models import ModelInfo
from jobs.stats import WorkerStats
from jobs.store import record

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_REMEMBERED = 1000
"""Entries that were complained of: a stranger that writes ever new ones must not fill the memory."""


class ModelAnnouncement(msgspec.Struct, frozen=True):
    """What a worker writes at regular intervals about a model that it serves."""

    info: ModelInfo
    seen_at: float
    """In seconds since the epoch, by Redis's clock."""


_decode_model = msgspec.msgpack.Decoder(ModelAnnouncement).decode
_decode_details = msgspec.msgpack.Decoder(ModelDetails).decode
_decode_machine = msgspec.msgpack.Decoder(MachineInfo).decode
_decode_worker = msgspec.msgpack.Decoder(WorkerStats).decode


def encode_model(info: ModelInfo, seen_at: float) -> bytes:
    """As the hash of models holds it."""
    return record.pack(ModelAnnouncement(info, seen_at))


class AnnouncementReader:
    """Reads announcements. One that another version or a stranger wrote is skipped, and logged once."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def model(self, raw: bytes | Exception, key: str) -> ModelAnnouncement | None:
        """None where it cannot be read. key: names it in the log."""
        return self._read(_decode_model, raw, key)

    def details(self, raw: bytes | Exception, key: str) -> ModelDetails | None:
        """None where they cannot be read. key: names them in the log."""
        return self._read(_decode_details, raw, key)

    def machine(self, raw: bytes | Exception, key: str) -> MachineInfo | None:
        """None where it cannot be read. key: names it in the log."""
        return self._read(_decode_machine, raw, key)

    def worker(self, raw: bytes | Exception, key: str) -> WorkerStats | None:
        """None where it cannot be read. key: names it in the log."""
        return self._read(_decode_worker, raw, key)

    def _read(self, decode: Callable[[bytes], T], raw: bytes | Exception, key: str) -> T | None:
        try:
            if isinstance(raw, Exception):
                raise raw
            found = decode(raw)
        except (msgspec.MsgspecError, UnicodeError, RedisError) as error:
            if key not in self._logged and len(self._logged) < MAX_REMEMBERED:
                self._logged.add(key)
                log.warning(
                    "an entry in Redis is unreadable and skipped", extra={"key": key, "error": str(error)}
                )
            return None
        self._logged.discard(key)
        return found
