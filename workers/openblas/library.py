"""Whether an OpenBLAS helps here, and where there is one."""

import platform
import sys
from importlib import metadata, util
from pathlib import Path

CUDA_PACKAGES = ("mlx-cuda-12", "mlx-cuda-13", "mlx-cuda")


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
