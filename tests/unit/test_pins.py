"""The files of pins: what they hold is what pyproject.toml asks for, and tools are apart from what mlxq runs on."""

import tomllib
from collections.abc import Iterable

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.folders import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins(file: str) -> list[Requirement]:
    return [Requirement(line) for line in (ROOT / file).read_text().splitlines()]


def names(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(each.name) for each in requirements}


@pytest.mark.parametrize(
    ("files", "asked"),
    [
        (["requirements.txt"], PROJECT["dependencies"] + EXTRAS["cpu"]),
        (["requirements-cuda.txt"], PROJECT["dependencies"] + EXTRAS["cuda"]),
        (["requirements.txt", "requirements-dev.txt"], EXTRAS["dev"]),
        (["requirements-cuda.txt", "requirements-dev.txt"], EXTRAS["dev"]),
        (["requirements-clients.txt"], PYPROJECT["dependency-groups"]["clients"]),
    ],
)
def test_every_requirement_has_a_pin_that_satisfies_it(files: list[str], asked: list[str]):
    pinned = [pin for file in files for pin in pins(file)]

    for requirement in map(Requirement, asked):
        found = [pin for pin in pinned if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
        assert found, f"{requirement} has no pin: run `make lock`"
        for pin in found:
            [specifier] = pin.specifier
            assert requirement.specifier.contains(specifier.version, prereleases=True), requirement


def test_tools_are_not_among_what_mlxq_runs_on():
    assert "pytest" in names(pins("requirements-dev.txt"))
    for file in ("requirements.txt", "requirements-cuda.txt"):
        assert not names(pins("requirements-dev.txt")) & names(pins(file))


def test_a_gpu_gets_the_same_versions():
    cpu = {str(pin) for pin in pins("requirements.txt") if not pin.name.startswith("mlx")}

    assert cpu <= {str(pin) for pin in pins("requirements-cuda.txt")}
