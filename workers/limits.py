"""How large a batch is good for this machine's device."""

from jobs.settings import Settings
from workers.batching import BatchLimits
from workers.shapes import COUNTS, plans_per_shape

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
