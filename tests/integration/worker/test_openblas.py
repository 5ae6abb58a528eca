"""The OpenBLAS of this environment in a real process, as a worker gets it. A Mac and MLX with CUDA need none."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.stack import ROOT
from workers.openblas.core import better_cores, processor_flags
from workers.openblas.library import find_openblas, needs_openblas
from workers.openblas.preload import checked, preload_openblas, with_library
from workers.openblas.product import Unusable, ask_core, measure


@pytest.fixture
def environ() -> dict[str, str]:
    """Without what `make test` preloads."""
    ours = ("LD_", "OPENBLAS_", "MLXQ_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture
def library() -> Path:
    library = find_openblas()
    assert library is not None, "opencv-python, which mlx-vlm installs, has one"
    return library


if needs_openblas():

    def test_mlx_multiplies_with_it_and_gets_what_numpy_gets(environ: dict[str, str], library: Path):
        product = measure(with_library(environ, library), library)

        assert product.mapped
        assert product.core
        assert ask_core(with_library(environ, library)) in (product.core, None)
        assert product.difference < 1e-5

    def test_without_it_that_is_found_out(environ: dict[str, str], library: Path):
        with pytest.raises(Unusable, match="did not load it"):
            measure(environ, library)

    def test_a_folder_with_spaces_is_no_hindrance(environ: dict[str, str], library: Path, tmp_path: Path):
        folder = tmp_path / "My Projects" / "mlxq 1"
        shutil.copytree(library.parent, folder)  # with the libraries that it needs itself
        spaced = folder / library.name

        assert measure(with_library(environ, spaced), spaced).mapped

    def test_a_folder_with_a_colon_is_told(environ: dict[str, str], library: Path, tmp_path: Path):
        folder = tmp_path / "a:b"
        folder.mkdir()
        shutil.copy(library, folder)

        with pytest.raises(Unusable, match="colon"):
            measure(with_library(environ, folder / library.name), folder / library.name)

    def test_a_processor_taken_for_an_old_one_gets_its_own_kernels(environ: dict[str, str], library: Path):
        """The older OpenBLAS is played by the variable: what it says without is what it says of a Prescott."""
        old, flags = "Prescott", processor_flags()
        if not better_cores(old, flags):
            old, flags = "armv8", frozenset[str]()  # a machine with no kernels of its own keeps these

        def ask_as_old(environ: Mapping[str, str]) -> str | None:
            return ask_core({"OPENBLAS_CORETYPE": old, **environ})

        preloading = with_library(environ, library)
        chosen = checked(preloading, library, flags, ask_as_old, measure).get("OPENBLAS_CORETYPE")

        assert chosen == (better_cores(old, flags) or [None])[0]
        if chosen:
            assert measure({**preloading, "OPENBLAS_CORETYPE": chosen}, library).core == chosen

    def test_a_command_is_run_with_it(environ: dict[str, str], library: Path):
        show = (
            "import os, pathlib; print(os.environ['LD_PRELOAD'], pathlib.Path('/proc/self/maps').read_text())"
        )
        run = subprocess.run(
            [sys.executable, "-m", "workers.openblas", sys.executable, "-c", show],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            check=True,
        )
        assert str(library.resolve()) in run.stdout
        assert "MLX computes with the OpenBLAS" in run.stderr
        assert " core=" in run.stderr
        assert " gflops=" in run.stderr

else:

    def test_nothing_is_preloaded_here(environ: dict[str, str]):
        assert preload_openblas(environ) == environ
