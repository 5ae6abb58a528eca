"""The project's own source files as text, for tests that read the code instead of running it."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.folders import ROOT

PACKAGES = ("api", "cli", "ingest", "jobs", "workers")
"""The folders that are installed."""
BESIDE = ("tests", "bench", "examples")
"""The folders of Python files that only a checkout has."""

Tree = Mapping[Path, str]
"""The text of each file under its path, which is relative to the root."""


def read_tree(*folders: str) -> Tree:
    """Every Python file of these folders and of the folders in them."""
    return {
        path.relative_to(ROOT): path.read_text()
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def imported(source: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import statement, nested and conditional ones included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level
            else:
                # `from jobs.store import scripts` names the module jobs.store.scripts
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def file_of(name: str, tree: Tree) -> Path | None:
    """The file that an import of this dotted name reads; None if it is none of the tree's."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        path = Path(*parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file in tree:
                return file
    return None
