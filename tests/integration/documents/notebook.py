"""Runs a notebook's code as Jupyter does: cell by cell, in one namespace, in the notebook's folder.

python -m tests.integration.documents.notebook FILE
"""

import json
import os
import sys
from pathlib import Path
from typing import Any


def cells(notebook: Path) -> list[dict[str, Any]]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def run(notebook: Path) -> None:
    """An error names the cell."""
    codes = ["".join(cell["source"]) for cell in cells(notebook) if cell["cell_type"] == "code"]
    os.chdir(notebook.parent)
    names: dict[str, object] = {"__name__": "__main__"}
    for number, code in enumerate(codes, 1):
        exec(compile(code, f"{notebook.name}, code cell {number}", "exec"), names)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
