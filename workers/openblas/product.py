"""A matrix product of MLX, measured and compared with numpy's, in a process that preloads a library.

That process runs this file by its path, so it imports nothing of ours. Its argument is the library's path; without it
the process only says for which processor OpenBLAS chose its kernels.
"""

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SIZE = 512
LEAST_S = 0.02
TIMEOUT_S = 60
TOLERANCE = 1e-4
"""Largest difference from numpy's product, as a part of its largest value. Orders of summing differ by about 1e-6."""


class Unusable(Exception):
    """The library cannot be preloaded, or does not compute right."""


@dataclass(frozen=True)
class Product:
    """What happened in that process.

    mapped: it has the library in memory. core: the processor that OpenBLAS chose its kernels for, if it says so.
    difference: from numpy's product. gflops, numpy_gflops: 10^9 operations per second.
    """

    mapped: bool
    core: str | None
    difference: float
    gflops: float
    numpy_gflops: float


def ask_core(environ: Mapping[str, str]) -> str | None:
    """The processor that an OpenBLAS preloaded by `environ` chose its kernels for; None if it has no others.

    In a process of its own, which takes about as long as Python's start. Raises: Unusable.
    """
    return json.loads(_run(environ, "-S", __file__))


def measure(environ: Mapping[str, str], library: Path) -> Product:
    """In a process with `environ`, which takes about as long as importing numpy. Raises: Unusable."""
    product = Product(**json.loads(_run(environ, __file__, str(library))))
    if not product.mapped:
        raise Unusable("the dynamic linker did not load it (it cannot where the path has a colon)")
    if not product.difference < TOLERANCE:
        raise Unusable(f"its product differs from numpy's by {product.difference:.1e}")
    return product


def _run(environ: Mapping[str, str], *arguments: str) -> str:
    """What Python printed. Raises: Unusable."""
    try:
        run = subprocess.run(
            [sys.executable, "-P", *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unusable(f"a product did not end within {TIMEOUT_S} s") from error
    if run.returncode != 0:
        raise Unusable(run.stderr.strip().rpartition("\n")[2] or f"a product ended with {run.returncode}")
    return run.stdout


def multiply(library: Path) -> Product:
    """In this process. Imports MLX."""
    import mlx.core as mx
    import numpy as np

    mx.set_default_device(mx.Device(mx.cpu))
    random = np.random.default_rng(0)
    a, b = random.random((2, SIZE, SIZE), np.float32)
    mlx_a, mlx_b = mx.array(a), mx.array(b)
    expected = a @ b
    found = np.array(mlx_a @ mlx_b)
    return Product(
        mapped=str(library.resolve()) in Path("/proc/self/maps").read_text(),
        core=_ask_openblas("openblas_get_corename"),
        difference=float(np.abs(found - expected).max() / np.abs(expected).max()),
        gflops=_gflops(lambda: mx.eval(mlx_a @ mlx_b)),
        numpy_gflops=_gflops(lambda: a @ b),
    )


def core_if_dynamic() -> str | None:
    """Of the OpenBLAS in this process."""
    is_dynamic = "DYNAMIC_ARCH" in (_ask_openblas("openblas_get_config") or "")
    return _ask_openblas("openblas_get_corename") if is_dynamic else None


def _ask_openblas(function: str) -> str | None:
    """A function without arguments of whichever OpenBLAS answers MLX's calls."""
    try:
        ask = getattr(ctypes.CDLL(None), function)
    except AttributeError:
        return None
    ask.restype = ctypes.c_char_p
    return ask().decode()


def _gflops(product: Callable[[], Any]) -> float:
    """Of the fastest of several, because other processes disturb the rest."""
    fastest_s, until = float("inf"), time.perf_counter() + LEAST_S
    while fastest_s == float("inf") or time.perf_counter() < until:
        started = time.perf_counter()
        product()
        fastest_s = min(fastest_s, time.perf_counter() - started)
    return 2 * SIZE**3 / fastest_s / 1e9


if __name__ == "__main__":
    print(json.dumps(asdict(multiply(Path(sys.argv[1]))) if sys.argv[1:] else core_if_dynamic()))
