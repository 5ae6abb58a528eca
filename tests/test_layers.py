"""Which package may import which: read from the import statements, so that a breach fails even if it is never run."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.folders import ROOT

MAY_IMPORT_OURS = {
    "jobs": {"jobs"},
    "api": {"api", "jobs"},
    "workers": {"workers", "jobs"},
    "ingest": {"ingest", "jobs"},
    "cli": {"cli", "api", "workers", "ingest", "jobs"},
}
OURS = frozenset(MAY_IMPORT_OURS)

MAY_NOT_IMPORT = {
    "jobs": {"fastapi", "starlette", "uvicorn", "qdrant_client", "qdrant_edge"},
    "api": {"rq", "numpy", "uvicorn"},
    "workers": {"fastapi", "starlette", "uvicorn"},
    "ingest": {"fastapi", "starlette", "uvicorn", "rq"},
    "cli": {"rq", "numpy"},
}
NOBODY = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}


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


def breaches(path: Path, source: str) -> list[str]:
    """What the file imports and may not. `path` is relative to the root."""
    package = path.parts[0]
    found = list[str]()
    for line, name in imported(source):
        top = name.partition(".")[0]
        if not top:
            why = "imports are absolute"
        elif top in (OURS - MAY_IMPORT_OURS[package]) | MAY_NOT_IMPORT[package] | NOBODY:
            why = f"{package} does not import {top}"
        elif top.startswith("mlx") and package != "workers":
            why = "only workers imports MLX"
        elif name.startswith("jobs.store.scripts") and package not in ("jobs", "workers"):
            why = "only the queue and the workers run Lua"
        else:
            continue
        found.append(f"{path}:{line}: {name}: {why}")
    return found


def sources() -> Iterator[tuple[Path, str]]:
    for package in sorted(OURS):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT), path.read_text()


def test_every_package_imports_only_what_it_may():
    files = list(sources())
    assert {path.parts[0] for path, _ in files} == OURS
    assert [breach for path, source in files for breach in breaches(path, source)] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jobs/planted.py", "import workers.runners"),
        ("jobs/planted.py", "from api.app import create_app"),
        ("api/planted.py", "from workers import supervisor"),
        ("api/planted.py", "def f():\n    import rq.job"),
        ("api/dialects/planted.py", "import numpy as np"),
        ("api/planted.py", "from jobs.store import scripts"),
        ("ingest/planted.py", "import api"),
        ("workers/planted.py", "from cli import main"),
        ("cli/planted.py", "if True:\n    import mlx.core as mx"),
        ("jobs/planted.py", "from mlx_lm import load"),
        ("workers/planted.py", "import pickle"),
        ("api/planted.py", "from . import errors"),
    ],
)
def test_a_planted_breach_is_found(path: str, source: str):
    assert len(breaches(Path(path), source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("workers/planted.py", "import mlx.core as mx\nfrom jobs.job import Job"),
        ("cli/planted.py", "from api.app import create_app\nimport workers.supervisor"),
        ("jobs/planted.py", "from jobs.store.scripts import script"),
    ],
)
def test_a_rightful_import_is_no_breach(path: str, source: str):
    assert breaches(Path(path), source) == []


def modules_after(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `statement`."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("entry", ["api.app", "cli.api_process", "cli.up", "cli.worker"])
def test_no_process_but_the_worker_loads_mlx(entry: str):
    loaded = modules_after(f"import {entry}")

    assert not {name for name in loaded if name.startswith(("mlx", "transformers", "torch", "rq"))}
    assert entry.partition(".")[0] in loaded


def test_the_command_line_loads_nothing_heavy_before_it_knows_the_command():
    loaded = modules_after("from cli.main import build_parser; build_parser()")

    assert not loaded & {"pydantic", "redis", "fastapi", "uvicorn", "asyncio", "msgspec"}
