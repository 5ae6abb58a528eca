"""What a stranger can rely on in every folder: short files, short functions, few modules, docstrings."""

import ast
import builtins
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.source_tree import BESIDE, PACKAGES, Tree, file_of, read_tree


class Limits(NamedTuple):
    file_lines: int
    function_lines: int
    """From `def` to the last line: signature and docstring count."""
    folder_modules: int
    """Neither `__init__` nor `__main__` counts."""


IN_PACKAGES = Limits(file_lines=400, function_lines=70, folder_modules=12)
IN_TESTS = Limits(file_lines=500, function_lines=80, folder_modules=24)
"""Tests are read one by one, and a folder of tests mirrors what it tests: they may be larger."""

DOCUMENTED = ("jobs", "api/work", "workers/scheduling")
"""The folders that others build on: all that is public there has a docstring."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def long_files(tree: Tree, limit: int) -> Iterator[str]:
    for path, source in tree.items():
        lines = len(source.splitlines())
        if lines > limit:
            yield f"{path}: {lines} lines; a file has {limit} at most"


def long_functions(tree: Tree, limit: int) -> Iterator[str]:
    for path, source in tree.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, Function):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > limit:
                    yield f"{path}::{node.name}: {lines} lines; a function has {limit} at most"


def full_folders(tree: Tree, limit: int) -> Iterator[str]:
    modules = Counter(path.parent for path in tree if path.stem not in ("__init__", "__main__"))
    for folder, count in modules.items():
        if count > limit:
            yield f"{folder}: {count} modules; a folder has {limit} at most"


def qualified_names(module: ast.Module) -> dict[str, str]:
    """The dotted name of what each imported name of a file stands for."""
    names = dict[str, str]()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def members(name: str, path: Path, tree: Tree) -> set[str]:
    """The names that a class has, inherited ones included. `name` is how the file calls the class."""
    module = ast.parse(tree[path])
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            own = {member.name for member in node.body if isinstance(member, Function)}
            return own | inherited(node, path, tree)
    head, dot, rest = name.partition(".")
    home, _, attribute = f"{qualified_names(module).get(head, head)}{dot}{rest}".rpartition(".")
    if home and (file := file_of(home, tree)):
        return members(attribute, file, tree)
    return set(dir(getattr(import_module(home) if home else builtins, attribute)))


def inherited(node: ast.ClassDef, path: Path, tree: Tree) -> set[str]:
    """The names that a class has from its bases."""
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return {name for base in bases for name in members(ast.unparse(base), path, tree)}


def is_half_of_another(function: ast.stmt) -> bool:
    """An overload, or the setter of a property: the docstring is at the other half."""
    decorators = map(ast.unparse, function.decorator_list) if isinstance(function, Function) else ()
    return any(name.endswith(("overload", ".setter", ".deleter")) for name in decorators)


def undocumented(tree: Tree, folders: Iterable[str]) -> Iterator[str]:
    """Public functions, classes and methods without a docstring, except methods that override a base's."""

    def search(body: list[ast.stmt], path: Path, prefix: str, excepted: set[str]) -> Iterator[str]:
        for node in body:
            if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
                continue
            if not (ast.get_docstring(node) or node.name in excepted or is_half_of_another(node)):
                yield f"{path}::{prefix}{node.name}: it is public and has no docstring"
            if isinstance(node, ast.ClassDef):
                yield from search(node.body, path, f"{prefix}{node.name}.", inherited(node, path, tree))

    for path, source in tree.items():
        if any(path.is_relative_to(folder) for folder in folders):
            yield from search(ast.parse(source).body, path, "", set())


def test_the_tree_keeps_its_rules():
    packages, beside = read_tree(*PACKAGES), read_tree(*BESIDE)
    found = [
        *long_files(packages, IN_PACKAGES.file_lines),
        *long_files(beside, IN_TESTS.file_lines),
        *long_functions(packages, IN_PACKAGES.function_lines),
        *long_functions(beside, IN_TESTS.function_lines),
        *full_folders(packages, IN_PACKAGES.folder_modules),
        *full_folders(read_tree("tests"), IN_TESTS.folder_modules),
        *undocumented(packages, DOCUMENTED),
    ]

    assert not found, "\n".join(found)


def planted(lines: int) -> str:
    """A file of so many lines that is one function."""
    return "def f():\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("rule", "limit"),
    [(long_files, IN_PACKAGES.file_lines), (long_functions, IN_PACKAGES.function_lines)],
)
def test_one_line_too_many_is_found(rule: Callable[[Tree, int], Iterator[str]], limit: int):
    path = Path("jobs/planted.py")

    assert [*rule({path: planted(limit)}, limit)] == []
    (breach,) = rule({path: planted(limit + 1)}, limit)
    assert breach.startswith("jobs/planted.py") and f"{limit + 1} lines" in breach


def test_one_module_too_many_is_found_and_the_package_itself_is_none():
    limit = IN_PACKAGES.folder_modules
    rightful = {Path(f"api/{name}.py"): "" for name in ("__init__", "__main__", "sub/a", *range(limit))}

    assert [*full_folders(rightful, limit)] == []
    assert [*full_folders(rightful | {Path("api/planted.py"): ""}, limit)] == [
        f"api: {limit + 1} modules; a folder has {limit} at most"
    ]


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(): ...", ["f"]),
        ("async def f(): ...", ["f"]),
        ("class A: ...", ["A"]),
        ("class A:\n    'd'\n    def f(self): ...", ["A.f"]),
        ("class A:\n    'd'\n    @property\n    def f(self): ...", ["A.f"]),
        ("from typing import Protocol\nclass A(Protocol):\n    'd'\n    def f(self): ...", ["A.f"]),
        ("from jobs.base import Base\nclass A(Base):\n    'd'\n    def g(self): ...", ["A.g"]),
        ("class A:\n    class B:\n        'd'", ["A"]),
    ],
)
def test_a_missing_docstring_is_found(source: str, names: list[str]):
    tree = {Path("jobs/base.py"): BASE, Path("jobs/planted.py"): source}

    found = [*undocumented(tree, ["jobs"])]

    assert [breach.split(": ")[0] for breach in found] == [f"jobs/planted.py::{name}" for name in names]
    assert [*undocumented(tree, ["api/work"])] == []


BASE = "class Base:\n    'd'\n    def f(self):\n        'd'"


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    'd'\n    def g(): ...",
        "def _f(): ...",
        "class _A:\n    def f(self): ...",
        "class A:\n    'd'\n    def __init__(self): ...",
        "from jobs.base import Base\nclass A(Base):\n    'd'\n    def f(self): ...",
        "from jobs import base\nclass A(base.Base):\n    'd'\n    def f(self): ...",
        "import logging\nclass A(logging.Handler):\n    'd'\n    def emit(self, record): ...",
        "class A(dict[str, int]):\n    'd'\n    def get(self, name): ...",
        "class A:\n    'd'\n    @property\n    def f(self):\n        'd'\n    @f.setter\n    def f(self, to): ...",
    ],
)
def test_what_needs_no_docstring_is_no_breach(source: str):
    tree = {Path("jobs/base.py"): BASE, Path("jobs/planted.py"): source}

    assert [*undocumented(tree, ["jobs"])] == []
