"""Weights that are named but not in memory yet: MLX reads an array from its file when it is first needed."""

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten

from jobs.process.garbage import exempt_what_is_there


def module_of(network: object) -> nn.Module:
    """The network as an nn.Module, where its static type is a Protocol that says only what it computes."""
    assert isinstance(network, nn.Module)
    return network


def size_bytes(*modules: nn.Module) -> int:
    """Memory that the modules' weights take once they are read."""
    return sum(array.nbytes for array in _arrays(modules))


def read(*modules: nn.Module) -> Iterator[None]:
    """Bring the modules' weights into memory, one array at each step."""
    for array in _arrays(modules):
        mx.eval(array)
        yield


def release() -> None:
    """Give the memory of arrays that nobody holds any more back to the system."""
    exempt_what_is_there()  # also frees a decoder and its model, which refer to each other
    mx.clear_cache()


def _arrays(modules: tuple[nn.Module, ...]) -> list[mx.array]:
    found: list[mx.array] = []
    for module in modules:
        flat: Any = tree_flatten(module.parameters())
        found += [array for _, array in flat]
    return found
