"""Which package, folder and file may import which.

The rules are read from the import statements, so that a breach fails even if the import is never run.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.options.models import MODEL_COMMANDS
from tests.support.folders import ROOT
from tests.support.source_tree import PACKAGES, Tree, file_of, imported, read_tree

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
    "ingest": {"fastapi", "uvicorn", "rq"},
    "cli": {"rq", "numpy"},
}
NOBODY = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}


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
        elif package == "ingest" and top in ("starlette", "qdrant_edge") and "store" not in path.parts:
            why = "only the embedded store answers HTTP and owns shards"
        elif top.startswith("mlx") and package != "workers":
            why = "only workers imports MLX"
        elif name.startswith("jobs.store.scripts") and package not in ("jobs", "workers"):
            why = "only the queue and the workers run Lua"
        else:
            continue
        found.append(f"{path}:{line}: {name}: {why}")
    return found


def test_every_package_imports_only_what_it_may():
    tree = read_tree(*PACKAGES)
    assert {path.parts[0] for path in tree} == OURS
    assert [breach for path, source in tree.items() for breach in breaches(path, source)] == []


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
        ("ingest/planted.py", "import starlette"),
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


Edges = dict[str, dict[str, str]]
"""For each child of a folder, the children that it imports, each with the place of one such import."""


def edges_in_folders(tree: Tree) -> dict[Path, Edges]:
    """The imports between the direct children (files and folders) of each folder."""
    edges: dict[Path, Edges] = {}
    for importer, source in tree.items():
        for line, name in imported(source):
            target = file_of(name, tree)
            if target is None or target == importer or target.parts[0] != importer.parts[0]:
                continue
            parents = set(target.parents)
            folder = next(parent for parent in importer.parents if parent in parents)
            left, right = (path.relative_to(folder).parts[0] for path in (importer, target))
            edges.setdefault(folder, {}).setdefault(left, {}).setdefault(right, f"{importer}:{line}")
    return edges


def reachable(start: str, edges: Edges) -> set[str]:
    """The children that `start` imports, directly or through others."""
    found, todo = set[str](), [start]
    while todo:
        new = edges.get(todo.pop(), {}).keys() - found
        found |= new
        todo.extend(new)
    return found


def circles(tree: Tree) -> list[str]:
    """One line for each circle: its folder, its children, and the imports that close it."""
    found = list[str]()
    for folder, edges in sorted(edges_in_folders(tree).items()):
        reached = {child: reachable(child, edges) for child in edges}
        rings = {
            frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in edges if a in reached[a]
        }
        for ring in sorted(map(sorted, rings)):
            imports = (f"{a} -> {b} ({edges[a][b]})" for a in ring for b in ring if b in edges[a])
            found.append(f"{folder}: {', '.join(ring)} import each other: {'; '.join(imports)}")
    return found


def test_the_children_of_a_folder_import_each_other_in_one_direction():
    found = circles(read_tree(*PACKAGES))

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("files", "ring"),
    [
        ({"jobs/a.py": "import jobs.b", "jobs/b.py": "from jobs.a import x"}, "jobs: a.py, b.py"),
        ({"api/x/a.py": "import api.y.b", "api/y/c.py": "import api.x.d"}, "api: x, y"),
        (
            {"api/x/a.py": "import api.b", "api/b.py": "from api.c import x", "api/c.py": "import api.x.d"},
            "api: b.py, c.py, x",
        ),
        (
            {
                "jobs/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import jobs.b",
                "jobs/b.py": "def f():\n    from jobs import a",
            },
            "jobs: a.py, b.py",
        ),
        (
            {"jobs/x/__init__.py": "import jobs.x.a", "jobs/x/a.py": "from jobs.x import y"},
            "jobs/x: __init__.py, a.py",
        ),
    ],
)
def test_a_planted_circle_is_found(files: dict[str, str], ring: str):
    places = "api/b.py", "api/c.py", "api/x/d.py", "api/y/b.py", "jobs/a.py", "jobs/b.py"
    tree = {Path(path): files.get(path, "") for path in {*places, *files}}

    (found,) = circles(tree)

    assert found.startswith(f"{ring} import each other: ")
    assert all(path in found for path in files)


@pytest.mark.parametrize(
    "files",
    [
        {"jobs/a.py": "import jobs.b", "jobs/b.py": "import jobs.c", "jobs/c.py": ""},
        {"api/x/a.py": "import api.y.b", "api/x/b.py": "import api.y.b", "api/y/b.py": ""},
        {"api/x/a.py": "import api.x.b", "api/x/b.py": "import jobs.a", "jobs/a.py": "import json"},
    ],
)
def test_imports_in_one_direction_are_no_circle(files: dict[str, str]):
    assert circles({Path(path): source for path, source in files.items()}) == []


def modules_after(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `statement`."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    "entry", ["api.app", "cli.api_process.__main__", "cli.commands.up", "cli.commands.worker"]
)
def test_no_process_but_the_worker_loads_mlx(entry: str):
    loaded = modules_after(f"import {entry}")

    assert not {name for name in loaded if name.startswith(("mlx", "transformers", "torch", "rq"))}
    assert entry.partition(".")[0] in loaded


def test_the_command_line_loads_nothing_heavy_before_it_knows_the_command():
    loaded = modules_after("from cli.main import build_parser; build_parser()")

    assert not loaded & {"pydantic", "redis", "fastapi", "uvicorn", "asyncio", "msgspec"}


@pytest.mark.parametrize("module", sorted({*MODEL_COMMANDS.values()}))
def test_commands_on_models_load_nothing_heavy(module: str):
    loaded = modules_after(f"import {module}")

    assert "msgspec" in loaded
    assert not loaded & {"pydantic", "redis", "fastapi", "uvicorn", "asyncio", "prompt_toolkit", "numpy"}
