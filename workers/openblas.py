"""On Linux CPUs, MLX's wheel links a reference BLAS that is about 14 times slower than an OpenBLAS put before it."""

import logging
import platform
import sys
from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path

log = logging.getLogger(__name__)

THREAD_TIMEOUT = "4"
"""OpenBLAS's threads sleep after 2**4 cycles without work. Its own 2**26 are 20 ms of a core that the API, Redis and
the worker's other threads then lack between any two steps (`bench --only chat`).
"""

CUDA_PACKAGES = ("mlx-cuda-12", "mlx-cuda-13", "mlx-cuda")


def preload_openblas(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a child that computes with MLX: with an OpenBLAS in LD_PRELOAD where that helps. Logs which."""
    child = dict(environ)
    if not needs_openblas():
        return child
    library = find_openblas()
    if library is None:
        log.warning(
            "No OpenBLAS found: MLX will be about 14 times slower on this CPU. "
            "Install one with `apt install libopenblas0-pthread` or `pip install opencv-python`."
        )
        return child
    log.info("Preloading an OpenBLAS, because MLX's own BLAS is slow on Linux CPUs: %s", library)
    child["LD_PRELOAD"] = " ".join(filter(None, [str(library), environ.get("LD_PRELOAD")]))
    child.setdefault("OPENBLAS_THREAD_TIMEOUT", THREAD_TIMEOUT)
    return child


def needs_openblas() -> bool:
    """Linux, and MLX without its CUDA backend. Imports no MLX."""
    return sys.platform == "linux" and not any(_is_installed(name) for name in CUDA_PACKAGES)


def find_openblas() -> Path | None:
    """Debian's libopenblas0-pthread, else the OpenBLAS inside opencv-python's wheel (which mlx-vlm installs)."""
    debian = Path(f"/usr/lib/{platform.machine()}-linux-gnu/openblas-pthread/libblas.so.3")
    if debian.exists():
        return debian
    cv2 = util.find_spec("cv2")
    if cv2 is None or cv2.origin is None:
        return None
    bundled = Path(cv2.origin).parent.parent / "opencv_python.libs"
    return next(iter(sorted(bundled.glob("libopenblasp*.so*"))), None)


def _is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":  # for the Makefile: the path to preload, or nothing
    print((find_openblas() if needs_openblas() else None) or "")
