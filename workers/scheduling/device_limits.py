"""What is good for this machine's device: how large a batch, how much memory for models."""

import os

from jobs.settings import Settings
from workers.scheduling.batch_shapes import COUNTS, plans_per_shape
from workers.scheduling.packing import BatchLimits

WEIGHTS_SHARE = 0.7
"""Of the device's memory; the rest is for the state of prompts, for batches and for other programs."""

CACHE_SHARE = 0.05
"""Of the device's memory: what MLX keeps of freed memory for the next batch. Without a limit it keeps all that it ever
had: 139 GB of an H200 after 60 batches of a model of 1.2 GB, so that nothing else could start there. With 1 GB the
batches were as fast.
"""

MAX_ITEMS = 128
"""Two batches of a few hundred callers: one runs while the other's callers are answered."""

CPU_TOKENS, CPU_FREE_PADDING = 1024, 32
"""A CPU is busy from the first few texts on; small batches keep the queue moving."""

GPU_TOKENS, GPU_FREE_PADDING = 16384, 256
"""A launch costs as much as two thousand tokens of a small model (5.4 ms against 2.5 µs a token on an H200), so thin
batches may hold more padding; with 256 tokens of it, lognormal lengths still stay within 8 % (`bench --only batches`).
"""


def device_is_gpu() -> bool:
    """Imports MLX."""
    import mlx.core as mx

    return mx.default_device().type == mx.DeviceType.gpu


def weight_budget_bytes(settings: Settings) -> int:
    """Memory for the weights of loaded models. Imports MLX."""
    if settings.model_bytes is not None:
        return settings.model_bytes
    return int(WEIGHTS_SHARE * _memory_bytes())


def limit_cache() -> None:
    """For the whole process. Imports MLX."""
    import mlx.core as mx

    mx.set_cache_limit(int(CACHE_SHARE * _memory_bytes()))


def device_name() -> str:
    """Of MLX's default device, with its memory: another device holds other batches. Imports MLX."""
    import mlx.core as mx

    name = mx.device_info().get("device_name", "gpu") if device_is_gpu() else "cpu"
    return f"{name} {_memory_bytes()}"


def _memory_bytes() -> int:
    """What MLX's default device may use of the machine's memory."""
    import mlx.core as mx

    if device_is_gpu():
        info = mx.device_info()
        # Metal names what it may use without swapping; CUDA names what the card has.
        for name in ("max_recommended_working_set_size", "total_memory", "memory_size"):
            if name in info:
                return int(info[name])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def batch_limits(settings: Settings) -> BatchLimits:
    """Limits for MLX's default device. Imports MLX."""
    on_gpu = device_is_gpu()
    tokens = settings.batch_tokens or (GPU_TOKENS if on_gpu else CPU_TOKENS)
    free_padding = GPU_FREE_PADDING if on_gpu else CPU_FREE_PADDING
    return BatchLimits(
        tokens=tokens,
        items=MAX_ITEMS,
        padding=settings.max_padding,
        free_padding=free_padding,
        counts=COUNTS if plans_per_shape() else (),
    )
