"""Installs pinned packages into an environment, and says all the time how far it is.

    python3 install.py [--uv UV] PYTHON ARGUMENT…

PYTHON: of the environment. ARGUMENT: as for `pip install`. The pins are complete, so nothing is resolved. UV does it if
it is named, else the environment's pip. For the Makefile; needs the standard library alone.
"""

import argparse
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

TICK_S = 0.5
LINE_S = 5
"""Between two lines where the output is no terminal."""


class Screen:
    """One line that is written again and again on a terminal, and every few seconds elsewhere."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._shown_at = self._started
        self._overwrites = sys.stdout.isatty()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def show(self, text: str) -> None:
        if self._overwrites:
            print(f"\r\033[K  {self.elapsed_s:3.0f} s  {text}", end="", flush=True)
        elif time.monotonic() - self._shown_at >= LINE_S:
            self._shown_at = time.monotonic()
            print(f"  {self.elapsed_s:3.0f} s  {text}", flush=True)

    def end(self, text: str) -> None:
        print(f"\r\033[K{text}" if self._overwrites else text, flush=True)


class Progress:
    """How far pip is, by what it prints and what lies in site-packages."""

    def __init__(self, total: int, site_packages: Path) -> None:
        self._total = total
        self._site_packages = site_packages
        self._before = self._installed()
        self._fetched = 0
        self.text = "starting pip"
        self._unpacking = False

    def read(self, line: str) -> None:
        if line.startswith("Ignoring "):  # for another platform
            self._total -= 1
        elif found := re.match(
            r"(?:Collecting|Obtaining|Processing|Requirement already satisfied:) (\S+)", line
        ):
            self._fetched += 1
            name = re.split(r"-\d|==", Path(found[1]).name)[0]
            self.text = f"fetching {self._fetched} of {self._total}: {name}"
        elif line.startswith("Installing collected packages"):
            self._unpacking = True

    def look(self) -> str:
        if self._unpacking:
            self.text = f"unpacking {self._installed() - self._before} of {self._total}"
        return self.text

    def _installed(self) -> int:
        return sum(1 for _ in self._site_packages.glob("*.dist-info"))


def install(command: Sequence[str], progress: Progress | None, screen: Screen) -> int:
    """Its exit code; what it said is shown if it fails."""
    said: list[str] = []
    lines: SimpleQueue[str | None] = SimpleQueue()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        output = process.stdout

        def read() -> None:
            for line in output:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        ended = False
        while not ended:
            try:
                line = lines.get(timeout=TICK_S)
                ended = line is None
                if line is not None:
                    said.append(line)
                    if progress is not None:
                        progress.read(line)
            except Empty:
                pass
            screen.show(progress.look() if progress is not None else "uv installs")
    if process.returncode != 0:
        screen.end("".join(said))
    return process.returncode


def count(arguments: Sequence[str]) -> int:
    """Packages that the arguments name: a line of a file each, and each that is no option."""
    named = 0
    for option, argument in zip(["", *arguments], arguments, strict=False):
        if option == "-r":
            named += sum(1 for line in Path(argument).read_text().splitlines() if line.strip())
        elif not argument.startswith("-"):
            named += 1
    return named


def site_packages_of(python: str) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="install.py", description=__doc__)
    parser.add_argument("--uv", default="")
    parser.add_argument("python")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    screen = Screen()
    if options.uv:
        command = [options.uv, "pip", "install", "--python", options.python, "--no-deps", *options.arguments]
        progress = None
    else:
        command = [options.python, "-m", "pip", "install", "--no-deps", "--no-compile", "--progress-bar=off"]
        command += ["--disable-pip-version-check", *options.arguments]
        progress = Progress(count(options.arguments), site_packages_of(options.python))
    code = install(command, progress, screen)
    if code == 0:
        screen.end(f"Installed in {screen.elapsed_s:.0f} s by {'uv' if options.uv else 'pip'}.")
    return code


if __name__ == "__main__":
    sys.exit(main())
