"""The environment of a process that computes with MLX."""

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from pathlib import Path

from workers.openblas.core import better_cores, processor_flags
from workers.openblas.library import find_openblas, needs_openblas
from workers.openblas.product import Product, Unusable, ask_core, measure

log = logging.getLogger(__name__)

THREAD_TIMEOUT = "4"
"""OpenBLAS's threads sleep after 2**4 cycles without work. Its own 2**26 are 20 ms of a core that the API, Redis and
the worker's other threads then lack between any two steps (`bench --only chat`).
"""

CORE = "OPENBLAS_CORETYPE"

CHECKED = "MLXQ_OPENBLAS_CHECKED"
"""Variable with the library that a parent of ours preloads, and has measured."""

AskCore = Callable[[Mapping[str, str]], str | None]
Measure = Callable[[Mapping[str, str], Path], Product]


def preload_openblas(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a child that computes with MLX: with an OpenBLAS preloaded where that helps.

    Measures it in a child process, and logs what it uses or why it does not.
    """
    if not needs_openblas():
        return dict(environ)
    library = find_openblas()
    if library is None:
        log.warning(
            "No OpenBLAS found: MLX will be about 14 times slower on this CPU. "
            "Install one with `apt install libopenblas0-pthread` or `pip install opencv-python`."
        )
        return dict(environ)
    if environ.get(CHECKED) == str(library):
        return dict(environ)
    try:
        return checked(with_library(environ, library), library, processor_flags(), ask_core, measure)
    except Unusable as error:
        log.warning(
            "An OpenBLAS is not used, so MLX will be about 14 times slower on this CPU: %s: %s",
            library,
            error,
        )
        return dict(environ)


def with_library(environ: Mapping[str, str], library: Path) -> dict[str, str]:
    """`environ` with the library in LD_PRELOAD.

    LD_PRELOAD is split at spaces and colons, and nothing can quote them. A library in a folder with a space in its name
    goes by its file's name, and the folder into LD_LIBRARY_PATH, which is split at colons and semicolons.
    """
    child = dict(environ)
    entry = str(library)
    if " " in entry:
        entry = library.name
        folders = environ.get("LD_LIBRARY_PATH", "").split(":")
        child["LD_LIBRARY_PATH"] = ":".join(dict.fromkeys(filter(None, [str(library.parent), *folders])))
    others = environ.get("LD_PRELOAD", "").split()
    child["LD_PRELOAD"] = " ".join(dict.fromkeys([entry, *others]))
    child.setdefault("OPENBLAS_THREAD_TIMEOUT", THREAD_TIMEOUT)
    return child


def checked(
    environ: Mapping[str, str], library: Path, flags: Set[str], ask_core: AskCore, measure: Measure
) -> dict[str, str]:
    """`environ`, which preloads the library, with the kernels that suit the processor.

    flags: of the processor. Raises: Unusable.
    """
    child = {**environ, CHECKED: str(library)}
    fields: dict[str, object] = {}
    product = None
    if CORE in environ:
        fields[CORE] = environ[CORE]
    elif chosen := ask_core(child):
        product = _better_product(child, library, better_cores(chosen, flags), measure)
        if product is not None:
            log.info(
                "OpenBLAS took this processor for another",
                extra={"taken_for": chosen, "gets_kernels_of": product.core},
            )
            child[CORE] = str(product.core)
    if product is None:
        product = measure(child, library)
    fields |= {
        "core": product.core,
        "gflops": round(product.gflops),
        "numpy_gflops": round(product.numpy_gflops),
    }
    log.info("MLX computes with the OpenBLAS", extra={"library": library, **fields})
    return child


def _better_product(
    environ: Mapping[str, str], library: Path, cores: Sequence[str], measure: Measure
) -> Product | None:
    """With the kernels of the first of these cores that the library has and that work."""
    for core in cores:
        with suppress(Unusable):
            product = measure({**environ, CORE: core}, library)
            # A library that does not know the core takes another one.
            if product.core is not None and product.core.lower() == core.lower():
                return product
    return None
