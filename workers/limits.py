"""How large a batch is good for this machine's device."""

from jobs.settings import Settings
from workers.batching import BatchLimits

MAX_ITEMS = 256

CPU_TOKENS, CPU_FREE_PADDING = 1024, 32
"""A CPU is busy from the first few texts on; small batches keep the queue moving."""

GPU_TOKENS, GPU_FREE_PADDING = 16384, 512
"""A launch costs as much as a thousand tokens of a small model (6 ms against 3.5 µs a token on an H200)."""


def batch_limits(settings: Settings) -> BatchLimits:
    """Limits for MLX's default device. Imports MLX."""
    import mlx.core as mx

    on_gpu = mx.default_device().type == mx.DeviceType.gpu
    tokens = settings.batch_tokens or (GPU_TOKENS if on_gpu else CPU_TOKENS)
    free_padding = GPU_FREE_PADDING if on_gpu else CPU_FREE_PADDING
    return BatchLimits(
        tokens=tokens, items=MAX_ITEMS, padding=settings.max_padding, free_padding=free_padding
    )
