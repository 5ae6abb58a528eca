"""Real documents: what Debian's packages hold."""

import shutil
from pathlib import Path

MANUALS = {
    "r-doc-pdf": Path("/usr/share/R/doc/manual"),
    "debian-reference-ja": Path("/usr/share/debian-reference"),
}
"""Package and the folder that its PDFs lie in."""


def manuals(package: str) -> list[Path]:
    """Its PDFs, each content once. Raises: SystemExit, saying how to install it."""
    found = sorted(MANUALS[package].glob("*.pdf*"))
    if not found:
        how = (
            f"apt-get install -y --no-install-recommends {package}"
            if shutil.which("apt-get")
            else "see docs/numbers.md"
        )
        raise SystemExit(f"Package {package} is not installed ({how}).")
    by_content = {path.read_bytes(): path for path in reversed(found)}
    return sorted(by_content.values())
