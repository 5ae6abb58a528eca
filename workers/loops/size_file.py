"""What is known of batch sizes, in a folder of this machine: a process that its batch killed teaches the next one."""

import fcntl
import json
import logging
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from workers.scheduling.batch_sizes import Learned

log = logging.getLogger(__name__)

_decode = msgspec.json.Decoder(dict[str, Learned]).decode


class SizeFile:
    """Belongs to one device and one process (workers.scheduling.batch_sizes.SizeMemory).

    `<device>.json` has what is known. `<device>.<host>.<pid>.running` says which batch a process is at; the process
    holds a lock on it, which ends with the process however it ends.
    """

    def __init__(self, folder: Path, device: str) -> None:
        """device: its name; workers of the same device share what they learn. Raises OSError."""
        self._folder = folder
        device = re.sub(r"[^A-Za-z0-9]+", "-", device)
        self._known = folder / f"{device}.json"
        self._own_notes = f"{device}.{socket.gethostname()}."
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._running = folder / f"{self._own_notes}{os.getpid()}.running"
        self._deaths = self._collect()
        fresh = self._running.with_suffix(".new")
        self._note = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(self._note, fcntl.LOCK_EX)
        fresh.rename(self._running)  # only now: nobody finds it unlocked
        self._has_failed = False

    def read(self) -> Mapping[str, Learned]:
        try:
            return _decode(self._known.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning(
                "what was learned about batch sizes cannot be read", extra={"error": type(error).__name__}
            )
            return {}

    def deaths(self) -> list[tuple[str, int]]:
        deaths, self._deaths = self._deaths, []
        return deaths

    def write(self, model: str, learned: Learned) -> None:
        known = {**self.read(), model: learned}
        fresh = self._running.with_suffix(".json")
        try:
            fresh.write_bytes(msgspec.json.encode(known))
            fresh.replace(self._known)
        except OSError as error:
            self._warn(error)

    def begin(self, model: str, tokens: int) -> None:
        self._say(json.dumps([model, tokens]).encode())

    def end(self) -> None:
        self._say(b"")

    def close(self) -> None:
        """The process ends in good order."""
        self._running.unlink(missing_ok=True)
        os.close(self._note)

    def _say(self, text: bytes) -> None:
        """Into the page cache: it outlives the process, and costs some microseconds."""
        try:
            os.pwrite(self._note, text + b"\n", 0)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.warning(
                "what is learned about batch sizes cannot be kept",
                extra={"error": os.strerror(error.errno or 0)},
            )

    def _collect(self) -> list[tuple[str, int]]:
        """What processes that are gone were at. Their notes are removed."""
        found: list[tuple[str, int]] = []
        for path in self._folder.glob("*.running"):
            if not path.name.startswith(self._own_notes):
                continue
            try:
                with path.open("rb") as note:
                    fcntl.flock(note, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    line = note.readline().strip()
                    path.unlink()
                if line:
                    model, tokens = msgspec.json.decode(line, type=tuple[str, int])
                    found.append((model, tokens))
            except (OSError, msgspec.MsgspecError):  # it lives, or another process has taken the note
                continue
        return found
